import { expect, test } from "bun:test";
import fc from "fast-check";
import { Slab } from "./slab.ts";

test("hands out each number once until it is given back, and none when all are in use", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat({ max: 9 }), { maxLength: 80 }), (max, doings) => {
      const slab = new Slab(max, 3);
      const taken: number[] = [];
      for (const doing of doings) {
        if (doing < 6) {
          const record = slab.take();
          if (taken.length === max) expect(record).toBe(-1);
          else {
            expect(record).toBeWithin(0, max);
            expect(taken).not.toContain(record);
            taken.push(record);
          }
        } else if (taken.length > 0) slab.give(taken.splice(doing % taken.length, 1)[0]);
        expect(slab.count).toBe(taken.length);
        for (const record of taken) expect(record).toBeLessThan(slab.end);
      }
    }),
  );
});

test("takes again what was given back before it goes further, so the pages above stay untouched", () => {
  const slab = new Slab(1_000, 16);
  for (let i = 0; i < 10; i++) slab.take();
  for (let i = 0; i < 500; i++) slab.give(slab.take());
  slab.give(3);
  slab.give(7);
  expect([slab.take(), slab.take()].sort()).toEqual([3, 7]);
  expect(slab.end).toBe(11);
  expect(slab.words.length).toBe(16_000);
});

test("of one that is empty again nothing is in use, so a walk over it is none", () => {
  const slab = new Slab(100, 4);
  for (let i = 0; i < 100; i++) slab.take();
  for (let i = 0; i < 99; i++) slab.give(i);
  expect(slab.end).toBe(100);
  slab.give(99);
  expect([slab.end, slab.count, slab.take()]).toEqual([0, 0, 0]);
});
