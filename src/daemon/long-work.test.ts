import { expect, test } from "bun:test";
import { LongWork } from "./long-work.ts";

/** Works in turns of 2 ms without a pause. */
function work(longWork: LongWork, forMs: number): void {
  for (let workedMs = 0; workedMs < forMs; workedMs += 2) longWork.worked(2);
}

test("some tenths of a second are free, and after a rest again", () => {
  const longWork = new LongWork();
  work(longWork, 390);
  expect(longWork.goesOn).toBe(false);
  work(longWork, 20);
  expect(longWork.goesOn).toBe(true);
  longWork.slept(50);
  expect(longWork.goesOn).toBe(false);
  work(longWork, 390);
  expect(longWork.goesOn).toBe(false);
});

test("it goes on through sleeps that are too short for what was worked", () => {
  const longWork = new LongWork();
  work(longWork, 500);
  for (let turn = 0; turn < 1_000; turn++) {
    longWork.slept(0.1);
    longWork.worked(2);
    expect(longWork.goesOn).toBe(true);
  }
});

test("however long it was, a rest of a twentieth of a second ends it", () => {
  const longWork = new LongWork();
  work(longWork, 60_000);
  longWork.slept(49);
  expect(longWork.goesOn).toBe(true);
  longWork.slept(1);
  expect(longWork.goesOn).toBe(false);
});

test("who sleeps by itself, however briefly each time, never does long work", () => {
  const longWork = new LongWork();
  for (let turn = 0; turn < 100_000; turn++) {
    longWork.worked(0.03);
    longWork.slept(0.01);
    expect(longWork.goesOn).toBe(false);
  }
});

test("what is urgent has its tenths of a second, whatever was worked before", () => {
  const longWork = new LongWork();
  work(longWork, 10_000);
  longWork.forgive();
  expect(longWork.goesOn).toBe(false);
  work(longWork, 390);
  expect(longWork.goesOn).toBe(false);
  work(longWork, 20);
  expect(longWork.goesOn).toBe(true);
});
