/** Two ctsync nodes on a sealed channel: what is damaged on one of them is found and repaired, whatever the link does. */
import { describe, expect, test } from "bun:test";
import { Flow, HAS, HAS_MARK, MARK, ORIG_SRC, STATUS } from "../../src/flow/flow.ts";
import type { Proof } from "../../src/sync/proof.ts";
import { type Node, World, type WorldOptions } from "./world.ts";

const SEEDS = 300;
const only = process.env.CTSYNC_SEED;
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];

const equal = (world: World): boolean => {
  const { missing, surplus } = world.differences();
  return missing.length === 0 && surplus.length === 0;
};
const nodes = (world: World): readonly Node[] => [world.primary, world.backup];
const proofOf = (node: Node): Proof => node.replica.proof(0);
/** Both know, of both directions. */
const proven = (world: World, sinceMs: number): boolean =>
  nodes(world)
    .flatMap((node) => [proofOf(node), node.replica.held(0)])
    .every(({ equalMs, differing }) => equalMs >= sinceMs && differing === 0);

/** Damages the external cache behind the replica's back: flows are lost, altered, or there that nobody told of. How many. */
function corrupt(world: World, node: Node, count: number): number {
  const { external } = node.replica;
  const flow = new Flow();
  let done = 0;
  for (let slot = external.nextLive(0); slot >= 0 && done < count; slot = external.nextLive(slot + 1)) {
    if (world.random.percent(50)) continue;
    external.read(slot, flow, world.nowMs);
    const what = world.random.below(4);
    if (what === 0) external.remove(slot);
    else if (what === 1) flow.words[STATUS] ^= 4;
    else if (what === 2) {
      flow.words[MARK] += 1_000;
      flow.words[HAS] |= HAS_MARK;
    } else flow.words[ORIG_SRC] += 0x01000000 + done;
    if (what !== 0 && !external.create(flow, world.nowMs)) continue;
    done++;
  }
  return done;
}

const options = (seed: number): Omit<WorldOptions, "seed"> => ({
  extended: true,
  lossPercent: (seed * 7) % 41,
  reorderPercent: (seed * 5) % 30,
  duplicatePercent: (seed * 3) % 20,
  ackWindow: 2 + (seed % 50),
  inFlightMax: 2 * (2 + (seed % 50)) + (seed % 40),
  resendQueue: 256 << (seed % 3),
  backupIsPassive: seed % 2 === 1,
});

/** Faults of every kind, and damage to the caches, drawn from the seed. */
function troubled(seed: number): World {
  const world = new World({ seed, ...options(seed) });
  const { random } = world;
  for (let episode = 0; episode < 6; episode++) {
    world.runFor(1_000 + random.below(3_000));
    const what = random.below(7);
    if (what === 0) world.link.cut[random.below(2)] = true;
    else if (what === 1) world.link.cut.fill(true);
    else if (what === 2) world.link.cut.fill(false);
    else if (what === 3) nodes(world)[random.below(2)].start(world.nowMs);
    else if (what < 6) corrupt(world, nodes(world)[random.below(2)], 1 + random.below(20));
  }
  return world;
}

describe("two ctsync nodes over a lossy, reordering, duplicating link", () => {
  test.each(seeds)("seed %d: once the link heals, both caches of each pair are equal, and proven to be", (seed) => {
    const world = troubled(seed).healLink();
    world.runFor(2_000).quiet();
    const quietMs = world.nowMs;
    world.runUntil(() => equal(world) && proven(world, quietMs), 20_000, "caches equal, and proven");
    world.runFor(2_000);
    expect(world.differences()).toEqual({ missing: [], surplus: [] });
  });

  test.each(seeds.slice(0, 20))(
    "seed %d: damage is repaired within seconds, with traffic, loss and no full resync",
    (seed) => {
      const world = new World({ seed, extended: true, lossPercent: seed % 2 === 0 ? 0 : 10 });
      world.runFor(6_000);
      const bulks = () => nodes(world).map((node) => node.replica.sessions[0].bulkProgress?.total);
      const before = bulks();
      expect(
        nodes(world)
          .map((node) => corrupt(world, node, 12))
          .every((count) => count > 0),
      ).toBe(true);
      const damagedMs = world.nowMs;
      world.runUntil(() => proven(world, damagedMs), 10_000, "equality proven, while flows come and go");
      world.quiet().runUntil(() => equal(world), 5_000, "caches equal");
      expect(bulks()).toEqual(before);
    },
  );

  test.each(seeds.slice(0, 60))(
    "seed %d: where nothing is damaged no comparison finds a difference, whatever is on its way",
    (seed) => {
      const world = new World({ seed, ...options(seed) });
      world.activityPercent = 90;
      world.runFor(15_000);
      if (seed % 3 === 0) world.link.cut[seed % 2] = true;
      world.runFor(4_000).healLink().runFor(6_000);
      for (const { replica } of nodes(world)) {
        expect(replica.counters.proof).toMatchObject({ differed: 0, withdrawn: 0, repaired: 0, untold: 0, damaged: 0 });
        expect(replica.counters.proof.compared).toBeGreaterThan(0);
      }
    },
  );

  test.each(seeds.slice(0, 10))("seed %d: at 40% loss the traffic of a repair stays bounded", (seed) => {
    const world = new World({ seed, extended: true, lossPercent: 40 }).quiet();
    world.runFor(5_000);
    for (const node of nodes(world)) corrupt(world, node, 20);
    const sent = () => nodes(world).reduce((sum, node) => sum + node.replica.counters.wire.extensionsSent, 0);
    const before = sent();
    world.runFor(20_000);
    expect(sent() - before).toBeLessThan(20 * 60);
  });

  test.each(seeds.slice(0, 10))("seed %d: the same seed run twice gives the same trace", (seed) => {
    const traces = [1, 2].map(() => troubled(seed).runFor(1_000).link.trace);
    expect(traces[0]).toBe(traces[1]);
  });
});
