import { expect, test } from "bun:test";
import { give, makeFlow } from "../test/make-flow.ts";
import { HAS_MARK, MARK } from "./flow/flow.ts";
import { Standing } from "./replica-standing.ts";

const shown = makeFlow({ ports: 1 }).words;
const changed = give(makeFlow({ ports: 1 }), HAS_MARK, MARK, 7).words;

test("what a dump showed tells what has moved until our kernel is written to, and from when it is shown again", () => {
  const standing = new Standing(2);
  standing.show(0, shown);
  expect([standing.hasMoved(0, shown), standing.hasMoved(0, changed)]).toEqual([false, true]);
  standing.wrote();
  expect([standing.hasMoved(0, changed), standing.stands(0), standing.count]).toEqual([false, true, 1]);
  standing.show(0, shown);
  expect(standing.hasMoved(0, changed)).toBe(true);
});

test("however often it was written to since, what was shown before does not count", () => {
  const standing = new Standing(1);
  standing.show(0, shown);
  for (let i = 0; i < 0x1_0001; i++) {
    standing.wrote();
    if (standing.hasMoved(0, changed)) throw new Error(`moved after ${i + 1} writes`);
  }
});
