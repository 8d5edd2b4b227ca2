import { expect, test } from "bun:test";
import fc from "fast-check";
import { distance, isBefore, next, previous } from "./serial.ts";

const seq = fc.integer({ min: 0, max: 0xffffffff });
const step = fc.integer({ min: 1, max: 0x7fffffff });

test("numbers follow each other over the end of 32 bits", () => {
  expect([next(0xffffffff), previous(0), next(0x7fffffff), previous(0x80000000)]).toEqual([
    0, 0xffffffff, 0x80000000, 0x7fffffff,
  ]);
});

test("a number is before those up to 2^31 - 1 ahead of it, wherever the count wraps, and they are not before it", () => {
  fc.assert(
    fc.property(seq, step, (a, ahead) => {
      const b = (a + ahead) >>> 0;
      expect([isBefore(a, b), isBefore(b, a), isBefore(a, a)]).toEqual([true, false, false]);
      expect([distance(a, b), distance(b, a)]).toEqual([ahead, -ahead]);
    }),
  );
});

test("next and previous undo each other and stay unsigned", () => {
  fc.assert(
    fc.property(seq, (a) => {
      expect([previous(next(a)), next(previous(a)), distance(a, next(a))]).toEqual([a, a, 1]);
    }),
    { examples: [[0], [0xffffffff], [0x80000000]] },
  );
});
