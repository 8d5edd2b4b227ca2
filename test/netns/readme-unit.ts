/**
 * What systemd would do with the unit file, as far as a lab without systemd can: its runtime directory, a user of its
 * own, exactly the capabilities it names, no way to gain others, its credentials, and the socket that hears READY=1.
 */
import type { LabProcess } from "../lab/process.ts";
import { until } from "../lab/until.ts";
import type { Machine } from "./readme-machine.ts";

export const UNIT_PATH = "/etc/systemd/system/ctsync.service";

/** Any user that owns nothing will do. */
const USER = "64123";
const CREDENTIALS = "/run/credentials/ctsync.service";
const READY_DEADLINE_MS = 10_000;

export interface Unit {
  readonly command: readonly string[];
  readonly capabilities: readonly string[];
  readonly runtimeDirectory: string;
  /** Where systemd takes a credential from, by its name. */
  readonly credentials: readonly (readonly [name: string, path: string])[];
}

function parseUnit(text: string): Unit {
  const value = (key: string): string => {
    const found = new RegExp(`^${key}=(.+)$`, "m").exec(text)?.[1];
    if (found === undefined) throw new Error(`the unit says nothing of ${key}`);
    return found;
  };
  if (value("Type") !== "notify") throw new Error("the unit is not of Type=notify");
  if (value("AmbientCapabilities") !== value("CapabilityBoundingSet"))
    throw new Error("the unit's capabilities differ");
  return {
    command: value("ExecStart").split(" "),
    capabilities: value("AmbientCapabilities").split(" "),
    runtimeDirectory: `/run/${value("RuntimeDirectory")}`,
    credentials: Array.from(text.matchAll(/^LoadCredential=([^:]+):(.+)$/gm), ([, name = "", path = ""]) => [
      name,
      path,
    ]),
  };
}

/** Starts the unit's daemon, and returns once it has said that it is ready. */
export async function startUnit(machine: Machine): Promise<LabProcess> {
  const { command, capabilities, runtimeDirectory, credentials } = parseUnit(await machine.run(`cat ${UNIT_PATH}`));
  await machine.run(`install -d -o ${USER} -g ${USER} ${runtimeDirectory}`);
  await machine.run(`install -d -m 500 -o ${USER} -g ${USER} ${CREDENTIALS}`);
  for (const [name, path] of credentials)
    await machine.run(`install -m 400 -o ${USER} -g ${USER} ${path} ${CREDENTIALS}/${name}`);
  const [socket, heard] = ["/run/notify", "/run/notified"];
  machine.spawn(["socat", "-u", `UNIX-RECV:${socket},mode=0777`, `CREATE:${heard}`]);
  await until(() => machine.exists(socket), READY_DEADLINE_MS, "somebody listens in systemd's place");
  const only = capabilities.map((name) => `,+${name.replace("CAP_", "").toLowerCase()}`).join("");
  const daemon = machine.spawn([
    ...["env", "--chdir=/", `NOTIFY_SOCKET=${socket}`, "WATCHDOG_USEC=30000000"],
    `CREDENTIALS_DIRECTORY=${CREDENTIALS}`,
    ...["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--no-new-privs"],
    ...[`--inh-caps=-all${only}`, `--ambient-caps=-all${only}`, `--bounding-set=-all${only}`],
    ...command,
  ]);
  const isReady = async () => (await machine.exec(["grep", "-q", "READY=1", heard])).status === 0;
  await until(async () => !daemon.running || (await isReady()), READY_DEADLINE_MS, "the daemon says that it is ready");
  if (!daemon.running) throw new Error(`the daemon ended with exit status ${await daemon.exited}:\n${daemon.output}`);
  return daemon;
}
