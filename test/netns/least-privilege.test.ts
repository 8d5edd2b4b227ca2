/**
 * The daemon with no more rights than it needs: as its unit confines it, and as what is left of root. It does all it does
 * for anybody under the unit's filter of system calls, on a read-only disk, as a user with CAP_NET_ADMIN alone.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CTSYNC, startDaemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { callsOf, seccompProgram } from "../lab/seccomp.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  connected,
  DEADLINE_MS,
  insert,
  kernelFlows,
  makeSides,
  remove,
  replicated,
  type Side,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";
import { Machine } from "./readme-machine.ts";
import { CREDENTIALS, type CredentialsBy, startUnit, UNIT_PATH, UNIT_USER } from "./readme-unit.ts";
import { keyFileOf, makeSealedSides } from "./sealed-pair.ts";

setDefaultTimeout(60_000);

const CAP_NET_ADMIN = 0x1000n;
const CAP_SYS_NICE = 0x80_0000n;
const KEY_FILE = "/etc/ctsync/link.key";
const SIGSYS_EXIT = 128 + 31;
const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** Among the fields of /proc/PID/stat, the process's name being one word. */
const POLICY_AT = 40;

const flows = Array.from({ length: 3_000 }, (_, i) =>
  flowOf({ l4proto: 6, source: 1 + (i >> 10), ports: ((1 + (i & 1_023)) << 16) | 80, state: 3, mark: i & 7 }),
);

interface Confined extends Side {
  readonly machine: Machine;
  readonly daemon: LabProcess;
}

async function startConfined(side: Side, by: CredentialsBy): Promise<Confined> {
  const { namespace, config } = side;
  const machine = await Machine.start(namespace);
  const toml = readFileSync(config, "utf8")
    .replace(/^socket = .*$/m, 'socket = "/run/ctsync/ctsync.sock"')
    .replace(/^path = .*$/m, 'path = "/var/lib/ctsync/timeline.ring"')
    .replace(/^key_file = .*$/m, `key_file = "${KEY_FILE}"`);
  await machine.write("/etc/ctsync/ctsync.toml", toml);
  await machine.run(`install -m 600 ${keyFileOf(side)} ${KEY_FILE}`);
  await machine.write(UNIT_PATH, readFileSync(resolve(import.meta.dir, "../../packaging/ctsync.service"), "utf8"));
  await machine.run(`install -m 755 ${CTSYNC} /usr/local/sbin/ctsync`);
  const daemon = await startUnit(machine, by);
  return { namespace, config, socket: machine.outside("/run/ctsync/ctsync.sock"), machine, daemon };
}

/** What /proc says of each thread of the process, of one key. */
const threads = (pid: number, key: string): string[] =>
  readdirSync(`/proc/${pid}/task`).map(
    (thread) =>
      new RegExp(`^${key}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))![1]!,
  );

/** How the kernel schedules the first thread of a process. */
const policyOf = (pid: number): number => Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[POLICY_AT]);

const masks = (pid: number, key: string): bigint[] => [
  ...new Set(threads(pid, key).map((mask) => BigInt(`0x${mask}`))),
];

test("as the unit confines it, it replicates, dumps, takes over, commits, hands back and outlives its link", async () => {
  await using lab = await Lab.create();
  const bare = await makeSealedSides(lab);
  const sides = [await startConfined(bare[0], "owner"), await startConfined(bare[1], "list")] as const;
  await Promise.all(sides.map(connected));
  for (const { daemon } of sides) {
    for (const key of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(masks(daemon.pid, key)).toEqual([CAP_NET_ADMIN]);
    expect([...new Set(threads(daemon.pid, "NoNewPrivs"))]).toEqual(["1"]);
    expect([...new Set(threads(daemon.pid, "Seccomp"))]).toEqual(["2"]);
    expect([...new Set(threads(daemon.pid, "Uid"))]).toEqual([Array(4).fill(UNIT_USER).join("\t")]);
  }
  const [primary, backup] = sides;
  insert(primary, flows);
  await replicated(primary, backup);
  remove(primary, flows.slice(0, 500));
  await replicated(primary, backup);
  const wanted = kernelFlows(primary);

  const { machine } = backup;
  expect((await machine.run("ctsync dump --external")).split("\n").filter(Boolean)).toHaveLength(2_500);
  expect((await machine.run("ctsync dump --external --format json")).split("\n").filter(Boolean)).toHaveLength(2_500);
  await machine.run("ctsync notify INSTANCE INSIDE MASTER 100");
  expect(kernelFlows(backup)).toEqual(wanted);
  await replicated(backup, primary);
  expect(JSON.parse(await machine.run("ctsync status --json")).recorder).toMatchObject({ lost: 0, error: null });
  expect(await machine.run("ctsync timeline")).toContain("2,500 flows created");

  const [one, two] = bare.map(({ namespace }) => namespace) as [Namespace, Namespace];
  await one.ip("link delete dev sync");
  for (const { daemon } of sides) await daemon.waitForLine(/waiting for the interface/, DEADLINE_MS);
  await one.ip(
    `link add sync type veth peer name sync netns ${two.realName}`,
    "address add 10.0.9.1/24 dev sync",
    "link set dev sync up",
  );
  await two.ip("address add 10.0.9.2/24 dev sync", "link set dev sync up");
  await Promise.all(sides.map(connected));
  insert(backup, flows.slice(0, 500));
  await replicated(backup, primary);

  await machine.run("ctsync notify BACKUP");
  for (const command of ["commit", "bulk", "request", "resync", "reset-timers", "flush", "flush kernel", "status"])
    await primary.machine.run(`ctsync ${command}`);
  await primary.machine.run("ctsync stop");
  expect(await primary.daemon.exited).toBe(0);
  expect(await backup.daemon.stop()).toBe(0);
});

test.each(["owner", "list"] as const)(
  "the key is its credential, by %s: it reads it, and changes nothing; nobody else does",
  async (by) => {
    await using lab = await Lab.create();
    const [side] = await makeSealedSides(lab);
    const { machine, daemon } = await startConfined(side, by);
    const key = `${CREDENTIALS}/link.key`;
    const [folder, file] = (await machine.run(`stat -c "%a %u" ${CREDENTIALS} ${key}`)).trim().split("\n");
    expect([folder, file]).toEqual(by === "owner" ? [`500 ${UNIT_USER}`, `400 ${UNIT_USER}`] : ["550 0", "440 0"]);
    const as = (user: number, command: string) =>
      machine.exec(["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "sh", "-c", command]);
    const text = readFileSync(keyFileOf(side), "utf8");
    expect(await as(UNIT_USER, `cat ${key}`)).toMatchObject({ status: 0, stdout: text });
    expect((await as(UNIT_USER, `cat ${KEY_FILE}`)).stderr).toContain("Permission denied");
    expect((await as(65_534, `cat ${key}`)).stderr).toContain("Permission denied");
    for (const change of [`chmod 644 ${key}`, `rm -f ${key}`, `echo > ${key}`])
      expect((await as(UNIT_USER, change)).status).not.toBe(0);
    const { seal } = JSON.parse(await machine.run("ctsync status --json")).link;
    expect(text).toContain(` ${seal.key} `);
    expect(await daemon.stop()).toBe(0);
  },
);

test("what confines it bites: a call that the unit does not name is the end, and no disk can be written", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const machine = await Machine.start(namespace);
  await machine.run("mkdir /run/ctsync");
  const confined = async (calls: readonly string[], ...argv: readonly string[]) => {
    const filter = join(lab.directory, "filter");
    await Bun.write(filter, await seccompProgram({ calls: await callsOf(calls), families: ["AF_UNIX"] }));
    const confine = [process.execPath, resolve(import.meta.dir, "../lab/confine.ts")];
    const unshare = ["unshare", "--mount", "--propagation", "private"];
    return machine.exec([...unshare, ...confine, String(UNIT_USER), filter, "/run/ctsync", ...argv]);
  };
  const shell = ["@basic-io", "@signal", "@file-system", "@process"];
  expect(await confined([...shell, "@network-io"], "/bin/echo", "alive")).toMatchObject({
    status: 0,
    stdout: "alive\n",
  });
  const hostname = ["/bin/hostname", "other"]; // sethostname is in none of the groups
  expect((await confined([...shell, "@network-io"], ...hostname)).status).toBe(SIGSYS_EXIT);
  const inet = ["/bin/bash", "-c", "echo > /dev/udp/127.0.0.1/9"]; // a family that the unit does not name
  expect((await confined([...shell, "@network-io"], ...inet)).status).toBe(SIGSYS_EXIT);
  for (const folder of ["/etc", "/tmp", "/run", "/var"]) {
    const { status, stderr } = await confined(
      [...shell, "@network-io"],
      "/bin/sh",
      "-c",
      `> ${folder}/ctsync-was-here`,
    );
    expect([folder, status, stderr]).toEqual([folder, 2, expect.stringContaining("Read-only file system")]);
  }
});

test("started by root, it gives up all but what it needs, in every thread, and cannot get it back", async () => {
  await using lab = await Lab.create();
  const [plain] = await makeSides(lab, { daemon: { realtime_priority: 0 } });
  const { pid } = (await startDaemon(plain.namespace, plain.config)).process;
  for (const key of ["CapPrm", "CapEff", "CapBnd"]) expect(masks(pid, key)).toEqual([CAP_NET_ADMIN]);
  expect([...new Set(threads(pid, "NoNewPrivs"))]).toEqual(["1"]);
  insert(plain, flows);
  await until(async () => kernelFlows(plain).length === flows.length, DEADLINE_MS, "the kernel has the flows");
});

test("of real-time priority too, but for long work; CAP_SYS_NICE stays only where the limit for it cannot be set", async () => {
  await using lab = await Lab.create();
  const [urgent] = await makeSides(lab);
  const daemon = await startDaemon(urgent.namespace, urgent.config);
  const { pid } = daemon.process;
  const [mask] = masks(pid, "CapPrm");
  expect(masks(pid, "CapPrm")).toHaveLength(1);
  const maySetLimit = /^Max realtime priority\s+1\s/m.test(readFileSync(`/proc/${pid}/limits`, "utf8"));
  expect(mask).toBe(maySetLimit ? CAP_NET_ADMIN : CAP_NET_ADMIN | CAP_SYS_NICE);
  const hasPolicy = (policy: number) => async () => policyOf(pid) === policy;
  await until(hasPolicy(SCHED_RR), DEADLINE_MS, "the loop has its real-time priority");
  insert(urgent, flows);
  let working = true;
  const reread = async () => {
    while (working) await ask(urgent, "POST", "/v1/resync");
  };
  // Two at a time, so that the loop is never without work.
  const rereading = [reread(), reread()];
  await until(hasPolicy(SCHED_OTHER), DEADLINE_MS, "the loop has worked for so long that it is an ordinary thread");
  working = false;
  await Promise.all(rereading);
  await until(hasPolicy(SCHED_RR), DEADLINE_MS, "the loop has its real-time priority again");
});

test("as the unit starts it and by itself the runtime is told to collect garbage in the loop's thread and to keep no freed memory", async () => {
  await using lab = await Lab.create();
  await using other = await Lab.create();
  const confined = await startConfined((await makeSealedSides(lab))[0], "owner");
  const [plain] = await makeSides(other);
  const bare = await startDaemon(plain.namespace, plain.config);
  for (const { pid } of [confined.daemon, bare.process]) {
    const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    expect(variables.filter((variable) => /^(BUN_JSC|MIMALLOC)_/.test(variable)).sort()).toEqual([
      "BUN_JSC_numberOfGCMarkers=1",
      "BUN_JSC_useConcurrentGC=0",
      "MIMALLOC_PURGE_DELAY=0",
    ]);
  }
});

test("the control socket is root's: another user is refused by its mode, and by the folder's", async () => {
  await using lab = await Lab.create();
  const [side] = await makeSides(lab);
  await startDaemon(side.namespace, side.config);
  expect(statSync(side.socket).mode & 0o777).toBe(0o600);
  expect(statSync(`${side.socket}.lock`).mode & 0o777).toBe(0o600);
  const asNobody = (command: string) =>
    side.namespace.exec(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...command.split(" ")]);
  const connect = `socat -u OPEN:/dev/null UNIX-CONNECT:${side.socket}`;
  const folder = dirname(side.socket);
  await side.namespace.run(["chmod", "755", folder]);
  expect((await asNobody(connect)).stderr).toContain("Permission denied");
  const said = await asNobody(`${CTSYNC} status --socket ${side.socket}`);
  expect(said.status).toBe(1);
  expect(said.stderr).toMatch(/^ctsync status: .*permission/i);
  await side.namespace.run(["chmod", "700", folder]);
  await side.namespace.run(["chmod", "666", side.socket]);
  expect((await asNobody(connect)).stderr).toContain("Permission denied");
});
