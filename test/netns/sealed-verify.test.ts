/** What two daemons with a key can prove to each other, and what `ctsync verify`, `ready` and `status` make of it. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { ctsync } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  cached,
  connected,
  DEADLINE_MS,
  insert,
  remove,
  replicated,
  type Side,
  type Sides,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";
import { keygen, makeSealedSides } from "./sealed-pair.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSealedSides(lab);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const flows = (from: number, to: number): f.Flow[] =>
  Array.from({ length: to - from }, (_, i) =>
    flowOf({ l4proto: 6, ports: f.portsWord(10_000 + from + i, 80), state: 3 }),
  );
const command = (side: Side, ...args: readonly string[]) => ctsync(side.namespace, args, { config: side.config });
const saysReady = async (side: Side, text: string): Promise<boolean> =>
  (await command(side, "ready")).stdout.includes(text);

test("a backup is ready once its cache was proven to be what the peer has; verify and status say so", async () => {
  await startPair(sides);
  insert(sides[0], flows(0, 2_000));
  await replicated(sides[0], sides[1]);
  await until(async () => (await statusOf(sides[0])).peer.proof?.flows === 2_000, DEADLINE_MS, "it is proven");
  const { status, stdout } = await command(sides[0], "verify");
  expect([status, stdout]).toEqual([
    0,
    expect.stringContaining("in sync: 2000 flows, the same in the internal cache and at the peer 10.0.9.2\n"),
  ]);
  expect((await command(sides[1], "ready")).stdout).toBe("ready: this node holds all that the peer 10.0.9.1 has\n");
  await command(sides[1], "notify", "MASTER");
  await until(async () => (await statusOf(sides[0])).peer.role === "master", DEADLINE_MS, "the peer's role is known");
});

test("what a life that has ended told, and the next one does not, is named as long as it stands there", async () => {
  const [daemon] = await startPair(sides);
  insert(sides[0], flows(0, 100));
  await replicated(sides[0], sides[1]);
  daemon.process.kill("SIGKILL");
  await daemon.process.exited;
  remove(sides[0], flows(0, 30));
  await start(sides[0]);
  await connected(sides[0]);
  await until(async () => (await statusOf(sides[0])).peer.proof?.flows === 70, DEADLINE_MS, "the rest is proven");
  const { status, stdout } = await command(sides[0], "verify");
  expect([status, stdout]).toEqual([
    1,
    expect.stringContaining(
      "differs: the peer 10.0.9.2 holds the 70 flows here, and 30 flows that this node told before",
    ),
  ]);
  expect((await command(sides[0], "status")).stdout).toContain("beside 30 that this node told before it started anew");
  expect((await command(sides[1], "ready")).stdout).toContain("and 30 flows that it told before it started anew");
});

test("a flow that the peer lets go while it stands in this kernel is announced at once", async () => {
  await startPair(sides);
  insert(sides[0], flows(0, 10));
  await replicated(sides[0], sides[1]);
  await command(sides[1], "commit");
  await command(sides[1], "resync");
  expect(await cached(sides[1], "internal")).toEqual([]);
  remove(sides[0], flows(0, 4));
  await until(async () => (await cached(sides[0], "external")).length === 4, DEADLINE_MS, "the peer has the four");
  expect(await cached(sides[1], "internal")).toHaveLength(4);
});

test("a peer with another key is not taken for gone: the node is not ready, and says why", async () => {
  await keygen(sides[1], "--force");
  await start(sides[0]);
  await start(sides[1]);
  const refused = "not ready: datagrams of the peer 10.0.9.2 come and are refused: they are sealed with a key";
  await until(() => saysReady(sides[0], refused), DEADLINE_MS, "it says why");
  // Longer than a peer that is silent is waited for.
  const since = (await statusOf(sides[0])).uptimeSeconds;
  await until(async () => (await statusOf(sides[0])).uptimeSeconds >= since + 5, DEADLINE_MS, "time passes");
  expect(await saysReady(sides[0], refused)).toBe(true);
});
