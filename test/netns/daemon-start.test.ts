/** What can stand in a daemon's way when it starts: one sentence that says what to do, and nothing is left behind. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import type { Outcome } from "../lab/execute.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, makeSides, type Side, start, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let side: Side;
let running: Daemon[] = [];

beforeEach(async () => {
  lab = await Lab.create();
  [side] = await makeSides(lab);
  running = [];
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Runs a daemon that is expected to end by itself. */
const daemonEnds = (config: string, ...through: readonly string[]): Promise<Outcome> =>
  side.namespace.exec([...through, CTSYNC, "daemon", "--config", config], { deadlineMs: DEADLINE_MS });

async function started(): Promise<Daemon> {
  const daemon = await start(side);
  running.push(daemon);
  return daemon;
}

/** The log's lines without their time. */
const said = ({ stderr }: Outcome): string[] =>
  stderr
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(/^\S+Z /, ""));

/** A copy of the configuration with its socket elsewhere. */
const withSocket = (socket: string): Promise<string> =>
  lab.write("other.toml", readFileSync(side.config, "utf8").replace(/^socket = .*$/m, `socket = "${socket}"`));

const leftNothing = (socket: string): void => {
  expect(existsSync(socket)).toBe(false);
  expect(existsSync(`${socket}.lock`)).toBe(false);
};

test("mistakes in the configuration are all named, and nothing starts", async () => {
  const text = `${readFileSync(side.config, "utf8")}\n[nonsense]\n`
    .replace("port = 3780", "port = 70000")
    .replace('mode = "ftfw"', 'mode = "fftw"');
  const config = await lab.write("wrong.toml", text);
  const outcome = await daemonEnds(config);
  expect(outcome.status).toBe(1);
  expect(outcome.stdout).toBe("");
  const lines = outcome.stderr.trim().split("\n");
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toStartWith(`${config}: `);
  for (const what of ["nonsense", "link[0].port: ", "sync.mode: "]) expect(outcome.stderr).toContain(what);
  leftNothing(side.socket);
});

test("a configuration that is not there is said to be missing", async () => {
  const outcome = await daemonEnds(join(lab.directory, "none.toml"));
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toContain("none.toml: there is no such file. Write one");
});

test("without CAP_NET_ADMIN it says so", async () => {
  const outcome = await daemonEnds(side.config, "setpriv", "--bounding-set", "-net_admin");
  expect(outcome.status).toBe(1);
  expect(said(outcome)).toEqual([
    "error: ctsync needs the capability CAP_NET_ADMIN: run it as root, or give it AmbientCapabilities=CAP_NET_ADMIN",
  ]);
  leftNothing(side.socket);
});

test("CAP_NET_ADMIN alone is enough", async () => {
  const drop = ["setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all"];
  const daemon = side.namespace.spawn([...drop, CTSYNC, "daemon", "--config", side.config]);
  await daemon.waitForLine(/info: read \d+ flows from the kernel/, DEADLINE_MS);
  await daemon.waitForLine(/info: link sync: 10\.0\.9\.1 to 10\.0\.9\.2 port 3780/, DEADLINE_MS);
  insert(side, [flowOf({ l4proto: 6, state: 3 })]);
  await until(async () => (await statusOf(side)).internal === 1, DEADLINE_MS, "the flow is seen");
  expect(daemon.output).not.toContain("warning");
  expect(await daemon.stop()).toBe(0);
});

test("a socket that a living daemon serves stays that daemon's, whose pid is named", async () => {
  const first = await started();
  const inode = statSync(side.socket).ino;
  const outcome = await daemonEnds(side.config);
  expect(outcome.status).toBe(1);
  expect(said(outcome)).toEqual([
    `error: another ctsync daemon (process ${first.process.pid}) serves ${side.socket}. ` +
      "Stop it (ctsync stop), or give this one another control.socket",
  ]);
  expect(statSync(side.socket).ino).toBe(inode);
  expect((await statusOf(side)).pid).toBe(first.process.pid);
  expect(await first.stop()).toBe(0);
  leftNothing(side.socket);
});

test("what a killed daemon left is replaced", async () => {
  const first = await started();
  first.process.kill("SIGKILL");
  expect(await first.process.exited).toBe(137);
  expect(existsSync(side.socket)).toBe(true);
  expect(existsSync(`${side.socket}.lock`)).toBe(true);
  const second = await started();
  expect((await statusOf(side)).pid).toBe(second.process.pid);
  expect(second.process.output).not.toMatch(/warning|error/);
});

test.each([
  ["a file", (path: string) => writeFileSync(path, "precious")],
  ["a directory", (path: string) => mkdirSync(path)],
])("%s where the socket should be is left alone", async (_, make) => {
  const socket = join(lab.directory, "taken");
  make(socket);
  const outcome = await daemonEnds(await withSocket(socket));
  expect(outcome.status).toBe(1);
  expect(said(outcome)).toEqual([
    `error: ${socket} is there and is no socket. Move it away, or choose another control.socket`,
  ]);
  const status = statSync(socket);
  expect(status.isFile() ? readFileSync(socket, "utf8") : "precious").toBe("precious");
  expect(existsSync(`${socket}.lock`)).toBe(false);
});

test.each([
  ["in a directory where nobody may make files", "/proc/ctsync.sock", "no such file or directory (ENOENT)"],
  ["below a file", "/dev/null/ctsync.sock", "file exists (EEXIST)"],
])("%s the socket cannot be made", async (_, socket, reason) => {
  const outcome = await daemonEnds(await withSocket(socket));
  expect(outcome.status).toBe(1);
  expect(said(outcome)).toEqual([
    `error: cannot make the control socket ${socket}: ${reason}. Choose another control.socket`,
  ]);
});

test("a missing directory of the socket is made", async () => {
  const socket = join(lab.directory, "run/deep/ctsync.sock");
  const daemon = side.namespace.spawn([CTSYNC, "daemon", "--config", await withSocket(socket)]);
  await daemon.waitForLine(/info: read \d+ flows/, DEADLINE_MS);
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(socket)).mode & 0o777).toBe(0o755);
});

test("only its owner may open the control socket", async () => {
  await started();
  expect(statSync(side.socket).mode & 0o777).toBe(0o600);
  expect(statSync(`${side.socket}.lock`).mode & 0o777).toBe(0o600);
});
