/** Daemons that are killed and start again, that are asked to end, and what systemd hears of them. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, receive, SOCK_DGRAM } from "../../ffi/socket.ts";
import { AF_UNIX, unixAddress } from "../../ffi/socket-address.ts";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  cached,
  connected,
  DEADLINE_MS,
  insert,
  makeSides,
  remove,
  replicated,
  type Sides,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

const flows = Array.from({ length: 2_000 }, (_, i) => flowOf({ l4proto: 6, source: 1 + (i >> 8), ports: i, state: 3 }));
let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab, { sync: { purge_timeout_seconds: 1 } });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

async function kill({ process }: Daemon): Promise<void> {
  process.kill("SIGKILL");
  expect(await process.exited).toBe(137);
}

test("a backup that is killed holds everything again soon after its start, what changed meanwhile included", async () => {
  const [, backup] = await startPair(sides);
  insert(sides[0], flows.slice(0, 1_500));
  await replicated(sides[0], sides[1]);
  await kill(backup);
  remove(sides[0], flows.slice(0, 500));
  insert(sides[0], flows.slice(1_500));
  await start(sides[1]);
  await replicated(sides[0], sides[1]);
  await connected(sides[1]);
});

test("a primary that is killed leaves the backup all it had, and both are equal again after its start", async () => {
  const [primary] = await startPair(sides);
  insert(sides[0], flows.slice(0, 1_500));
  await replicated(sides[0], sides[1]);
  const before = await cached(sides[1], "external");
  await kill(primary);
  remove(sides[0], flows.slice(0, 500));
  insert(sides[0], flows.slice(1_500));
  expect(await cached(sides[1], "external")).toEqual(before);
  await start(sides[0]);
  await replicated(sides[0], sides[1]);
});

test("both are killed", async () => {
  const daemons = await startPair(sides);
  insert(sides[0], flows);
  await replicated(sides[0], sides[1]);
  await Promise.all(daemons.map(kill));
  await startPair(sides);
  await replicated(sides[0], sides[1]);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends it in order: exit status 0, socket and lock are gone",
  async (signal) => {
    const daemon = await start(sides[0]);
    insert(sides[0], flows);
    await until(async () => (await statusOf(sides[0])).internal === flows.length, DEADLINE_MS, "the flows are seen");
    daemon.process.kill(signal);
    expect(await daemon.process.exited).toBe(0);
    expect(existsSync(sides[0].socket)).toBe(false);
    expect(existsSync(`${sides[0].socket}.lock`)).toBe(false);
    expect(daemon.process.output).toContain(`${signal}: stopping`);
    expect(daemon.process.output).not.toMatch(/ (warning|error): /);
  },
);

test("`ctsync stop` ends it as well, and a second one says that no daemon runs", async () => {
  const daemon = await start(sides[0]);
  expect((await daemon.command("stop")).status).toBe(0);
  expect(await daemon.process.exited).toBe(0);
  expect(existsSync(sides[0].socket)).toBe(false);
  const again = await daemon.command("stop");
  expect(again.status).toBe(1);
  expect(again.stderr).toContain("no daemon runs");
});

test("systemd hears READY=1 once the kernel is read, WATCHDOG=1 in time, and STOPPING=1", async () => {
  const path = join(lab.directory, "notify.sock");
  const fd = openSocket(AF_UNIX, SOCK_DGRAM, 0);
  expect(bind(fd, unixAddress(path)!)).toBe(0);
  const bytes = new Uint8Array(new ArrayBuffer(256));
  const heard: { readonly text: string; readonly atMs: number }[] = [];
  const listen = (): void => {
    for (let length = receive(fd, bytes); length >= 0; length = receive(fd, bytes))
      heard.push({ text: new TextDecoder().decode(bytes.slice(0, length)), atMs: performance.now() });
  };
  const count = (text: string): number => {
    listen();
    return heard.filter((message) => message.text === text).length;
  };
  insert(sides[0], flows);
  const daemon = sides[0].namespace.spawn([CTSYNC, "daemon", "--config", sides[0].config], {
    NOTIFY_SOCKET: path,
    WATCHDOG_USEC: "2000000",
  });
  await until(() => count("READY=1") === 1, DEADLINE_MS, "READY=1");
  expect((await statusOf(sides[0])).internal).toBe(flows.length);
  await until(() => count("WATCHDOG=1") >= 4, DEADLINE_MS, "four WATCHDOG=1");
  const beats = heard.filter(({ text }) => text === "WATCHDOG=1").map(({ atMs }) => atMs);
  for (const [i, atMs] of beats.slice(1).entries()) expect(atMs - beats[i]!).toBeLessThan(2_000);
  expect(await daemon.stop()).toBe(0);
  await until(() => count("STOPPING=1") === 1, DEADLINE_MS, "STOPPING=1");
  expect([...new Set(heard.map(({ text }) => text))].sort()).toEqual(["READY=1", "STOPPING=1", "WATCHDOG=1"]);
  close(fd);
});
