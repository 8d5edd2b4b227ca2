import { expect, test } from "bun:test";
import type { Slice } from "../jobs.ts";
import { paced } from "./paced.ts";

let nowMs = 0;
const clock = (): number => nowMs;

/** Works as long as each says, then yields the slice beside it. */
function* working(...steps: readonly (readonly [workMs: number, slice: Slice])[]): Generator<Slice, string, void> {
  for (const [workMs, slice] of steps) {
    nowMs += workMs;
    yield slice;
  }
  return "done";
}

test("rests as long as it takes for the work to be its share of the time", () => {
  const work = paced(working([2, 0], [1, { progress: "working", done: 1 }], [0, 5], [1, 200]), 0.02, clock);
  const rests = Array.from({ length: 4 }, () => work.next().value as number);
  for (const [i, wanted] of [98, 49, 5, 200].entries()) expect(rests[i]).toBeCloseTo(wanted);
  expect(work.next()).toEqual({ done: true, value: "done" });
});

test("work that is given up can clean up", () => {
  let cleaned = false;
  function* cleaning(): Generator<Slice, void, void> {
    try {
      for (;;) yield 0;
    } finally {
      cleaned = true;
    }
  }
  const work = paced(cleaning(), 0.5, clock);
  work.next();
  work.return();
  expect(cleaned).toBeTrue();
});
