/**
 * What systemd would do with the unit file, as far as a lab without systemd can: its runtime and state directories, everything else
 * read-only, a user of its own, exactly the capabilities it names, no way to gain others, the system calls and address
 * families it names and no others, its credentials, and the socket that hears READY=1.
 */
import { join, resolve } from "node:path";
import type { LabProcess } from "../lab/process.ts";
import { type Allowed, callsOf, seccompProgram } from "../lab/seccomp.ts";
import { until } from "../lab/until.ts";
import type { Machine } from "./readme-machine.ts";

export const UNIT_PATH = "/etc/systemd/system/ctsync.service";

/** Any user that owns nothing will do. */
export const UNIT_USER = 64_123;
const CONFINE = resolve(import.meta.dir, "../lab/confine.ts");
const GRANT = resolve(import.meta.dir, "../lab/grant-reading.ts");
export const CREDENTIALS = "/run/credentials/ctsync.service";
const READY_DEADLINE_MS = 10_000;

export interface Unit {
  readonly command: readonly string[];
  readonly runtimeDirectory: string;
  readonly stateDirectory: string;
  /** Where systemd takes a credential from, by its name. */
  readonly credentials: readonly (readonly [name: string, path: string])[];
  readonly allowed: Allowed;
  /** NAME=value each. */
  readonly environment: readonly string[];
}

async function parseUnit(text: string): Promise<Unit> {
  const value = (key: string): string => {
    const found = new RegExp(`^${key}=(.+)$`, "m").exec(text)?.[1];
    if (found === undefined) throw new Error(`the unit says nothing of ${key}`);
    return found;
  };
  if (value("Type") !== "notify") throw new Error("the unit is not of Type=notify");
  for (const key of ["AmbientCapabilities", "CapabilityBoundingSet"])
    if (value(key) !== "CAP_NET_ADMIN") throw new Error(`the unit's ${key} are not CAP_NET_ADMIN alone`);
  for (const key of ["NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes"])
    if (!text.includes(`\n${key}\n`)) throw new Error(`the unit lacks ${key}`);
  const calls = Array.from(text.matchAll(/^SystemCallFilter=(.+)$/gm), ([, words = ""]) => words.split(" ")).flat();
  return {
    command: value("ExecStart").split(" "),
    runtimeDirectory: `/run/${value("RuntimeDirectory")}`,
    stateDirectory: `/var/lib/${value("StateDirectory")}`,
    credentials: Array.from(text.matchAll(/^LoadCredential=([^:]+):(.+)$/gm), ([, name = "", path = ""]) => [
      name,
      path,
    ]),
    environment: value("Environment").split(" "),
    allowed: { calls: await callsOf(calls), families: value("RestrictAddressFamilies").split(" ") },
  };
}

/** How systemd lets the service's user read a credential: by giving him the file, or by an access control list. */
export type CredentialsBy = "owner" | "list";

/**
 * Step by step what systemd does of LoadCredential=. No systemd is run for it: it would be init of a machine, and mounts and
 * cleans as it likes. In the folder of the service it mounts a file system that is never swapped out, mode 0700; copies
 * each file there with mode 0400; lets the service's user read the files and enter the folder, mode 0500, by an access
 * control list, and where the file system has none, as a ramfs, by making them his; and mounts it read-only in the end.
 * Source: src/core/exec-credential.c of systemd.
 */
async function loadCredentials(machine: Machine, { credentials }: Unit, by: CredentialsBy): Promise<void> {
  const options = "nosuid,nodev,noexec";
  const type = by === "list" ? "tmpfs" : "ramfs";
  await machine.run(`mkdir -p ${CREDENTIALS} && mount -t ${type} -o mode=0700,${options} ${type} ${CREDENTIALS}`);
  const files = credentials.map(([name, path]) => [`${CREDENTIALS}/${name}`, path] as const);
  for (const [file, path] of files) await machine.run(`install -m 400 ${path} ${file}`);
  await machine.run(`chmod 500 ${CREDENTIALS}`);
  for (const path of [...files.map(([file]) => file), CREDENTIALS])
    await machine.run(
      by === "list" ? `${process.execPath} ${GRANT} ${UNIT_USER} ${path}` : `chown ${UNIT_USER}:${UNIT_USER} ${path}`,
    );
  await machine.run(`mount -o remount,bind,ro,${options} ${CREDENTIALS}`);
}

/** Starts the unit's daemon, and returns once it has said that it is ready. */
export async function startUnit(machine: Machine, by: CredentialsBy = "owner"): Promise<LabProcess> {
  const unit = await parseUnit(await machine.run(`cat ${UNIT_PATH}`));
  const { command, allowed } = unit;
  const writable = [unit.runtimeDirectory, unit.stateDirectory];
  for (const directory of writable) await machine.run(`install -d -m 700 -o ${UNIT_USER} -g ${UNIT_USER} ${directory}`);
  await loadCredentials(machine, unit, by);
  const [socket, heard] = ["/run/notify", "/run/notified"];
  machine.spawn(["socat", "-u", `UNIX-RECV:${socket},mode=0777`, `CREATE:${heard}`]);
  await until(() => machine.exists(socket), READY_DEADLINE_MS, "somebody listens in systemd's place");
  const { lab, name } = machine.namespace;
  const filter = join(lab.directory, `${name}.filter`);
  await Bun.write(filter, await seccompProgram(allowed));
  const daemon = machine.spawn([
    ...[
      "env",
      `NOTIFY_SOCKET=${socket}`,
      "WATCHDOG_USEC=30000000",
      `CREDENTIALS_DIRECTORY=${CREDENTIALS}`,
      ...unit.environment,
    ],
    ...["unshare", "--mount", "--propagation", "private"],
    ...[process.execPath, CONFINE, String(UNIT_USER), filter, writable.join(":"), ...command],
  ]);
  const isReady = async () => (await machine.exec(["grep", "-q", "READY=1", heard])).status === 0;
  await until(async () => !daemon.running || (await isReady()), READY_DEADLINE_MS, "the daemon says that it is ready");
  if (!daemon.running) throw new Error(`the daemon ended with exit status ${await daemon.exited}:\n${daemon.output}`);
  return daemon;
}
