import { expect, test } from "bun:test";
import { Flow, HAS, HAS_PORTS, ORIG_DST, ORIG_PORTS, ORIG_SRC, PROTO, protoWord, ZONE_BOTH } from "../flow/flow.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";
import { StaleEntries } from "./stale-entries.ts";

const FLOWS_MAX = 50_000;
const KEEP_MS = 1_000;

function flowNumber(i: number): Flow {
  const flow = new Flow();
  flow.words[PROTO] = protoWord(4, 17, 0, ZONE_BOTH);
  flow.words[ORIG_SRC] = 0x0a000000 + i;
  flow.words[ORIG_DST] = 0xc0000201;
  flow.words[ORIG_PORTS] = 0x00350035;
  flow.words[HAS] = HAS_PORTS;
  return flow;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** A cache that two peers told of `flows` flows each: 0 and on by peer 0, 100,000 and on by peer 1. */
function filled(flows: number): { cache: ExternalCache; stale: StaleEntries; holds: (i: number) => boolean } {
  const cache = new ExternalCache(FLOWS_MAX, new FlowHash(1, 2));
  for (const i of numbers(0, flows)) {
    cache.create(flowNumber(i), 0, 0);
    cache.create(flowNumber(100_000 + i), 0, 1);
  }
  const stale = new StaleEntries(cache, 0, KEEP_MS);
  return { cache, stale, holds: (i) => cache.find(flowNumber(i)) >= 0 };
}

test("what the peer does not name when it is asked for all it has is removed after a while, and nothing else", () => {
  const { cache, stale, holds } = filled(10);
  expect(stale.tick(1, 0, 0)).toBe(0);
  for (const i of numbers(0, 4)) cache.update(flowNumber(i), 10, 0);
  expect(stale.tick(1, 1, 20)).toBe(0);
  cache.create(flowNumber(4), 500, 0); // Named late, but named.
  expect(stale.tick(1, 1, 1_019)).toBe(0);
  expect(stale.dueMs).toBe(1_020);
  expect(stale.tick(1, 1, 1_020)).toBe(5);
  expect(numbers(0, 10).filter(holds)).toEqual([0, 1, 2, 3, 4]);
  expect(cache.count).toBe(15);
  expect(stale.dueMs).toBe(Number.POSITIVE_INFINITY);
  expect(stale.tick(1, 1, 100_000)).toBe(0);
});

test("an answer that never comes removes nothing", () => {
  const { cache, stale } = filled(10);
  for (let nowMs = 0; nowMs < 100_000; nowMs += 1_000) expect(stale.tick(1, 0, nowMs)).toBe(0);
  expect(cache.count).toBe(20);
});

test("a peer that is asked again before the removal has all the time again", () => {
  const { cache, stale } = filled(10);
  stale.tick(1, 0, 0);
  stale.tick(1, 1, 10);
  expect(stale.tick(2, 1, 1_000)).toBe(0);
  expect(stale.tick(2, 1, 5_000)).toBe(0);
  for (const i of numbers(0, 10)) cache.update(flowNumber(i), 5_000, 0);
  stale.tick(2, 2, 5_000);
  expect(stale.tick(2, 2, 6_000)).toBe(0);
  expect(cache.count).toBe(20);
});

test("many flows are removed some at a time", () => {
  const { cache, stale } = filled(FLOWS_MAX / 2);
  stale.tick(1, 0, 0);
  stale.tick(1, 1, 0);
  let ticks = 0;
  let removed = 0;
  for (; Number.isFinite(stale.dueMs); ticks++) {
    const some = stale.tick(1, 1, KEEP_MS);
    expect(some).toBeLessThanOrEqual(512);
    removed += some;
  }
  expect(removed).toBe(FLOWS_MAX / 2);
  expect(ticks).toBeGreaterThan(2);
  expect(cache.count).toBe(FLOWS_MAX / 2);
});
