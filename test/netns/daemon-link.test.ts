/** A sync link that is not there, goes away, changes, or has nobody at its other end: the daemon waits, and goes on by itself. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, SOCK_DGRAM } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import { ctsync } from "../lab/ctsync.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/process.ts";
import { until } from "../lab/until.ts";
import { connected, DEADLINE_MS, insert, makeSides, replicated, type Sides, start, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Lines of the log that are no mere information, without their time. */
const warnings = (daemon: LabProcess): string[] =>
  daemon.lines.map(({ text }) => text.replace(/^\S+Z /, "")).filter((text) => !text.startsWith("info: "));

/** Joins both machines by the link again; the first end has neither address nor carrier. */
async function newLink(): Promise<void> {
  const [one, two] = sides.map(({ namespace }) => namespace);
  await one!.ip(`link add sync type veth peer name sync netns ${two!.realName}`);
  await two!.ip("address add 10.0.9.2/24 dev sync", "link set dev sync up");
}

const addAddress = (): Promise<void> => sides[0].namespace.ip("address add 10.0.9.1/24 dev sync");
const linkUp = (): Promise<void> => sides[0].namespace.ip("link set dev sync up");

const WAITS_FOR_INTERFACE = "warning: waiting for the interface sync: it is not there";
const WAITS_FOR_ADDRESS =
  "warning: waiting for the address 10.0.9.1 on sync: give it to the interface, or correct link[0].local";

test("while the interface is missing the daemon sleeps: it does not turn round what it cannot send", async () => {
  await sides[0].namespace.ip("link delete dev sync");
  const { process: daemon } = await start(sides[0]);
  await daemon.waitForLine(/flows from the kernel/, DEADLINE_MS);
  const before = await statusOf(sides[0]);
  const passed = async () => {
    const after = await statusOf(sides[0]);
    return after.uptimeSeconds >= before.uptimeSeconds + 4 && after;
  };
  const after = await until(passed, DEADLINE_MS, "some seconds pass", 500);
  expect(after.loop.turns - before.loop.turns).toBeLessThan(2_000); // A million a second when it turns round.
});

test("an interface that comes later, its address later still, and its carrier last", async () => {
  await sides[0].namespace.ip("link delete dev sync");
  const { process: daemon } = await start(sides[0]);
  await daemon.waitForLine(/waiting for the interface/, DEADLINE_MS);
  expect((await statusOf(sides[0])).link).toMatchObject({ interface: "sync", up: false, mtuBytes: 0 });

  await newLink();
  await daemon.waitForLine(/waiting for the address/, DEADLINE_MS);
  await addAddress();
  await daemon.waitForLine(/info: link sync: /, DEADLINE_MS);
  expect((await statusOf(sides[0])).link).toMatchObject({ up: false, mtuBytes: 1500 });
  await linkUp();
  await until(async () => (await statusOf(sides[0])).link.up, DEADLINE_MS, "the link is up");

  await start(sides[1]);
  await Promise.all(sides.map(connected));
  insert(sides[0], [flowOf({ l4proto: 17 })]);
  await replicated(sides[0], sides[1]);
  expect(warnings(daemon)).toEqual([WAITS_FOR_INTERFACE, WAITS_FOR_ADDRESS]);
});

test("an interface that is deleted and made again while the daemons run", async () => {
  const daemons = [await start(sides[0]), await start(sides[1])];
  await Promise.all(sides.map(connected));
  insert(sides[0], [flowOf({ l4proto: 17 })]);
  await replicated(sides[0], sides[1]);
  await sides[0].namespace.ip("link delete dev sync");
  for (const { process } of daemons) await process.waitForLine(/waiting for the interface/, DEADLINE_MS);
  insert(sides[0], [flowOf({ l4proto: 17, source: 2 })]);
  await newLink();
  await addAddress();
  await linkUp();
  await replicated(sides[0], sides[1]);
  await Promise.all(sides.map(connected));
  for (const { process } of daemons)
    expect(warnings(process).filter((line) => line === WAITS_FOR_INTERFACE)).toHaveLength(1);
});

test("an address that is taken away and comes back", async () => {
  await start(sides[0]);
  await start(sides[1]);
  await Promise.all(sides.map(connected));
  await sides[0].namespace.ip("address delete 10.0.9.1/24 dev sync");
  await until(
    async () => (await statusOf(sides[1])).peer.state === "silent",
    DEADLINE_MS,
    "the other side hears nothing",
  );
  insert(sides[0], [flowOf({ l4proto: 17 })]);
  await addAddress();
  await replicated(sides[0], sides[1]);
});

test("an MTU that changes: datagrams are filled to the new one, and none is cut into fragments", async () => {
  const { process: daemon } = await start(sides[0]);
  await start(sides[1]);
  await Promise.all(sides.map(connected));
  for (const [i, mtu] of [1280, 9000].entries()) {
    for (const { namespace } of sides) await namespace.ip(`link set dev sync mtu ${mtu}`);
    await daemon.waitForLine(new RegExp(`MTU ${mtu}$`), DEADLINE_MS);
    insert(
      sides[0],
      Array.from({ length: 500 }, (_, port) => flowOf({ l4proto: 6, source: i + 1, ports: port + 1, state: 3 })),
    );
    await replicated(sides[0], sides[1]);
    expect((await statusOf(sides[0])).link.mtuBytes).toBe(mtu);
  }
  const counted = await sides[0].namespace.run(["cat", "/proc/net/snmp"]);
  const [names, values] = counted
    .split("\n")
    .filter((line) => line.startsWith("Ip: "))
    .map((line) => line.split(" "));
  for (const name of ["FragCreates", "FragOKs"]) expect([name, values![names!.indexOf(name)]]).toEqual([name, "0"]);
});

test("a port that another program has: it waits until it is freed", async () => {
  const fd = inside(sides[0].namespace, () => {
    const socket = openSocket(AF_INET, SOCK_DGRAM, 0);
    expect(bind(socket, inetAddress(0, 3780))).toBe(0);
    return socket;
  });
  const { process: daemon } = await start(sides[0]);
  await daemon.waitForLine(/port 3780 is taken/, DEADLINE_MS);
  await start(sides[1]);
  // It tries once a second, and says so once.
  await until(async () => (await statusOf(sides[0])).uptimeSeconds >= 2, DEADLINE_MS, "it has tried again");
  close(fd);
  await Promise.all(sides.map(connected));
  expect(warnings(daemon)).toEqual([
    "warning: 10.0.9.1 port 3780 is taken by another program (another ctsync, or conntrackd?): " +
      "stop it, or choose another link[0].port",
  ]);
});

test("a peer that is dead: commands say so or do without it, and it is caught up with when it comes", async () => {
  const { process: daemon } = await start(sides[0]);
  insert(sides[0], [flowOf({ l4proto: 17 })]);
  expect((await statusOf(sides[0])).peer).toMatchObject({ state: "silent", lastHeardMs: null });
  const run = (...args: string[]) => ctsync(sides[0].namespace, args, { config: sides[0].config });

  const startMs = performance.now();
  const master = await run("notify", "master");
  expect(master).toMatchObject({ status: 0, stderr: "" });
  expect(performance.now() - startMs).toBeLessThan(1_500);
  expect((await statusOf(sides[0])).role).toBe("master");

  for (const command of ["bulk", "request"]) {
    const outcome = await run(command);
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(
      new RegExp(`^ctsync ${command}: the peer 10\\.0\\.9\\.2 does not answer; it is .* back\\n$`),
    );
  }
  await start(sides[1]);
  await replicated(sides[0], sides[1]);
  await connected(sides[0]);
  expect((await run("bulk")).status).toBe(0);
  expect((await run("request")).status).toBe(0);
  expect(warnings(daemon).filter((line) => !line.includes("bulk"))).toEqual([]);
});

test("a peer that dies: a takeover does not wait for work that waits for it", async () => {
  const daemon = await start(sides[0]);
  const peer = await start(sides[1]);
  await Promise.all(sides.map(connected));
  insert(sides[1], [flowOf({ l4proto: 17 })]);
  await replicated(sides[1], sides[0]);
  peer.process.kill("SIGKILL");
  await peer.process.exited;
  const run = (...args: string[]) => ctsync(sides[0].namespace, args, { config: sides[0].config });
  const asking = run("notify", "backup");
  await daemon.process.waitForLine(/backup: reset-timers: /, DEADLINE_MS); // The step before it asks the dead peer.
  const master = run("notify", "master");
  const committed = async () => (await statusOf(sides[0])).counters.kernel!.committed === 1;
  await until(committed, 1_000, "the dead peer's flow is in this kernel");
  expect((await asking).status).toBe(1);
  expect(await master).toMatchObject({ status: 0, stderr: "" });
  expect((await statusOf(sides[0])).lastRoleChange).toMatchObject({ role: "master", ok: true });
});
