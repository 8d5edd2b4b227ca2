/** Two ctsync nodes on a sealed channel: what is damaged on one of them is found and repaired, whatever the link does. */
import { describe, expect, test } from "bun:test";
import { loadCode, ROOT } from "./code.ts";
import { firstDifference, firstUnproven } from "./converged.ts";
import { damage } from "./damage.ts";
import { type Fixed, World } from "./world.ts";

const code = await loadCode(ROOT);
const seeds = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const QUIET = Number.POSITIVE_INFINITY;

const PAIR: Fixed = {
  nodes: 2,
  kind: "sealed",
  backupsHaveTraffic: true,
  settings: {
    isExtended: true,
    asksAtStart: true,
    flowsMax: 256,
    limits: { resendQueue: 128, ackWindow: 20, inFlightMax: 64 },
  },
};

function pair(seed: number, lossPercent: number): World {
  const world = new World(seed, code, PAIR);
  for (const row of world.link.faults) for (const faults of row) faults.lossPercent = lossPercent;
  return world;
}

const isProven = (world: World, sinceMs: number) => (): boolean => firstUnproven(world, sinceMs) === undefined;
const sentExtensions = ({ nodes }: World): number =>
  nodes.reduce((sum, { replica }) => sum + (replica?.counters.wire.extensionsSent ?? 0), 0);

describe("damage to the external caches of two ctsync nodes", () => {
  test.each(seeds(20))("seed %d: is repaired within seconds, with traffic, loss and no full resync", (seed) => {
    const world = pair(seed, seed % 2 === 0 ? 0 : 10).runFor(6_000);
    const bulks = () => world.nodes.map(({ replica }) => replica?.sessions[0].bulkProgress?.total);
    const before = bulks();
    expect(world.nodes.map((node) => damage(world, node, 12)).reduce((sum, count) => sum + count)).toBeGreaterThan(0);
    expect(world.runUntil(isProven(world, world.nowMs), 10_000, 250)).toBe(true);
    world.packetEveryMs = QUIET;
    expect(world.runUntil(() => firstDifference(world) === undefined, 5_000, 250)).toBe(true);
    expect(bulks()).toEqual(before);
  });

  test.each(seeds(10))("seed %d: at 40%% loss the traffic of a repair stays bounded", (seed) => {
    const world = pair(seed, 0).runFor(3_000);
    world.packetEveryMs = QUIET;
    for (const row of world.link.faults) for (const faults of row) faults.lossPercent = 40;
    world.runFor(2_000);
    for (const node of world.nodes) damage(world, node, 20);
    const before = sentExtensions(world);
    world.runFor(20_000);
    expect(sentExtensions(world) - before).toBeLessThan(20 * 60);
  });
});

describe("no comparison of two ctsync nodes", () => {
  test.each(seeds(60))("seed %d: finds a difference where nothing is damaged, whatever is on its way", (seed) => {
    const world = pair(seed, (seed * 7) % 41);
    for (const row of world.link.faults)
      for (const faults of row) {
        faults.reorderPercent = (seed * 5) % 30;
        faults.duplicatePercent = (seed * 3) % 20;
      }
    world.packetEveryMs = 5;
    world.runFor(15_000);
    if (seed % 3 === 0) world.link.faults[seed % 2][1 - (seed % 2)].cut = true;
    world.runFor(4_000);
    world.link.heal();
    world.runFor(6_000);
    for (const { replica } of world.nodes) {
      const { compared, ...found } = replica?.counters.proof ?? { compared: 0 };
      expect(compared).toBeGreaterThan(0);
      expect(found).toMatchObject({ differed: 0, withdrawn: 0, repaired: 0, untold: 0, damaged: 0 });
    }
  });
});
