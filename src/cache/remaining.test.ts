import { expect, test } from "bun:test";
import fc from "fast-check";
import { remainingSeconds } from "./remaining.ts";

test.each([
  [432_000, 0, 432_000],
  [432_000, 1_000, 431_000],
  [120, 119, 1],
  [120, 120, 60], // It has outlived its timeout: a minute more.
  [120, 100_000, 60],
  [30, 30, 30], // A minute would be longer than its whole timeout.
  [30, -5, 30], // A clock that ran backwards adds nothing.
  [0, 0, 0],
  [0xffffffff, 1, 0xfffffffe],
])("of %d seconds, reported %d seconds ago, %d are left", (timeout, age, left) => {
  expect(remainingSeconds(timeout, age)).toBe(left);
});

test("is never more than the timeout, and never 0 unless the timeout was", () => {
  fc.assert(
    fc.property(fc.nat({ max: 0xffffffff }), fc.integer(), (timeout, age) => {
      const left = remainingSeconds(timeout, age);
      expect(left).toBeLessThanOrEqual(timeout);
      expect(left === 0).toBe(timeout === 0);
    }),
  );
});
