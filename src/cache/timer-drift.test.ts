import { expect, test } from "bun:test";
import { hasDrifted, isWrongTimer, wasRenewed } from "./timer-drift.ts";

test.each([
  ["a UDP flow's timer that ran out in the cache, and was started again in the kernel", 180, 60, false],
  ["the same, the other way round", 60, 180, false],
  ["a timer that was shortened by hand", 60, 300, true],
  ["five days that lack half a day", 432_000, 388_800, false],
  ["five days that lack a whole one", 432_000, 345_600, true],
  ["five days in the cache, some minutes in the kernel", 300, 432_000, true],
])("%s", (_, kernel, cached, drifted) => {
  expect(hasDrifted(kernel, cached)).toBe(drifted);
});

test("what is allowed between two comparisons is wrong for nobody, and what is wrong has drifted", () => {
  for (const kernel of [0, 30, 120, 300, 900, 5_000, 86_400, 432_000])
    for (const cached of [0, 60, 120, 600, 3_600, 400_000, 432_000])
      if (isWrongTimer(kernel, cached)) expect(hasDrifted(kernel, cached)).toBeTrue();
  expect(isWrongTimer(432_000, 345_600)).toBeFalse();
  expect(isWrongTimer(432_000, 60)).toBeTrue();
});

test("a timer that is later than it could be was renewed", () => {
  expect([wasRenewed(180, 174), wasRenewed(180, 175), wasRenewed(432_000, 431_000), wasRenewed(100, 180)]).toEqual([
    ...[true, false],
    ...[true, false],
  ]);
});
