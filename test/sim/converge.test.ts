import { describe, expect, test } from "bun:test";
import { World, type WorldOptions } from "./world.ts";

const SEEDS = 240;
const only = process.env.CTSYNC_SEED;
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];

const equal = (world: World): boolean => {
  const { missing, surplus } = world.differences();
  return missing.length === 0 && surplus.length === 0;
};

/** Faults of every kind, drawn from the seed. */
function troubled(seed: number): World {
  const world = new World({ seed, ...options(seed) });
  const { random } = world;
  for (let episode = 0; episode < 6; episode++) {
    world.runFor(1_000 + random.below(4_000));
    const what = random.below(5);
    if (what === 0) world.link.cut[random.below(2)] = true;
    else if (what === 1) world.link.cut.fill(true);
    else if (what === 2) world.link.cut.fill(false);
    else if (what === 3) (random.below(2) === 0 ? world.primary : world.backup).start(world.nowMs);
  }
  return world;
}

const options = (seed: number): Omit<WorldOptions, "seed"> => ({
  lossPercent: (seed * 7) % 40,
  reorderPercent: (seed * 5) % 30,
  duplicatePercent: (seed * 3) % 20,
  ackWindow: 2 + (seed % 50),
  inFlightMax: 2 * (2 + (seed % 50)) + (seed % 40),
  resendQueue: 256 << (seed % 3),
  backupIsPassive: seed % 2 === 1,
});

describe("two replicas over a lossy, reordering, duplicating link", () => {
  test.each(seeds)("seed %d: once the link heals, both caches of each pair are equal", (seed) => {
    const world = troubled(seed).healLink();
    world.runFor(2_000).quiet();
    world.runUntil(() => world.link.empty && equal(world), 30_000, "caches equal");
    world.runUntil(() => world.primary.replica.internal.deadCount === 0, 30_000, "every destroy acknowledged");
    world.runFor(3_000);
    expect(world.differences()).toEqual({ missing: [], surplus: [] });
  });

  test.each(seeds.slice(0, 20))("seed %d: the same seed run twice gives the same trace", (seed) => {
    const traces = [1, 2].map(() => troubled(seed).runFor(1_000).link.trace);
    expect(traces[0]).toBe(traces[1]);
  });

  test("different seeds give different traces", () => {
    expect(troubled(1).link.trace).not.toBe(troubled(2).link.trace);
  });
});
