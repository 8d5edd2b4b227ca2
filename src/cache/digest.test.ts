import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryFlow, makeFlow } from "../../test/make-flow.ts";
import { bucketOf, Digest, firstKeyOf, lastKeyOf } from "./digest.ts";

const SLOTS = 16;
const sumsOf = (digest: Digest): number[] => {
  const sums = new Uint32Array(64 * 65);
  digest.groupSums(sums, 0);
  for (let group = 0; group < 64; group++) digest.bucketSums(group, sums, 64 * (group + 1));
  return Array.from(sums);
};
const numbered = (i: number) => makeFlow({ source: [0x0a000000 + i] }).words;

const step = fc.record({ slot: fc.nat({ max: SLOTS - 1 }), flow: fc.option(arbitraryFlow) });

describe("a digest", () => {
  test("depends on what the slots hold, not on how it came to be, nor on which slots they are", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const digest = new Digest(SLOTS);
        const held = new Map<number, Uint32Array>();
        for (const { slot, flow } of steps) {
          if (flow === null) {
            digest.forget(slot);
            held.delete(slot);
          } else {
            digest.set(slot, flow.words);
            held.set(slot, flow.words.slice());
          }
        }
        const anew = new Digest(SLOTS);
        let slot = SLOTS;
        for (const words of held.values()) anew.set(--slot, words);
        expect(sumsOf(digest)).toEqual(sumsOf(anew));
        expect(digest.count).toBe(held.size);
        for (const [number, words] of held) expect(digest.matches(number, words)).toBe(true);
      }),
    );
  });

  test("that is cleared is as a new one", () => {
    const digest = new Digest(SLOTS);
    for (let i = 0; i < SLOTS; i++) digest.set(i, numbered(i));
    digest.clear();
    expect(sumsOf(digest)).toEqual(sumsOf(new Digest(SLOTS)));
    expect([digest.count, digest.has(3)]).toEqual([0, false]);
  });

  test("finds the flows of a bucket in order of their keys", () => {
    const digest = new Digest(100_000);
    for (let i = 0; i < 100_000; i++) digest.set(i, numbered(i));
    const bucket = bucketOf(digest.keyOf(77));
    const found = digest.find(firstKeyOf(bucket), lastKeyOf(bucket));
    const keys = Array.from(digest.slots.subarray(0, found), (slot) => digest.keyOf(slot));
    expect(found).toBeGreaterThan(5);
    expect(keys).toEqual(keys.toSorted((a, b) => a - b));
    expect(keys.every((key) => bucketOf(key) === bucket)).toBe(true);
    expect(Array.from(digest.slots.subarray(0, found))).toContain(77);
    digest.forget(77);
    expect(digest.find(firstKeyOf(bucket), lastKeyOf(bucket))).toBe(found - 1);
  });

  test("says when a range has more flows than can be looked at together", () => {
    const digest = new Digest(20_000);
    for (let i = 0; i < 20_000; i++) digest.set(i, numbered(1));
    const bucket = bucketOf(digest.keyOf(0));
    expect(digest.find(firstKeyOf(bucket), lastKeyOf(bucket))).toBe(-1);
    expect(digest.find(firstKeyOf(bucket), digest.keyOf(0) - 1)).toBe(0);
  });
});
