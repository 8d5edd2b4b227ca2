import { expect, test } from "bun:test";
import { Breath } from "./breath.ts";

/** Works in turns of 2 ms, and sleeps when told to. How much of the time it slept. */
function sleptPart(breath: Breath): number {
  let nowMs = 1_000;
  let sleptMs = 0;
  breath.slept(1, nowMs);
  while (nowMs < 2_000) {
    nowMs += 2;
    const restMs = breath.dueMs(nowMs);
    nowMs += restMs;
    sleptMs += restMs;
    breath.slept(restMs, nowMs);
  }
  return sleptMs / 1_000;
}

test("leaves others more than the twentieth part, and not much more", () => {
  expect(sleptPart(new Breath(true))).toBeWithin(0.05, 0.08);
});

test("who sleeps by itself needs no breath, nor does an ordinary process", () => {
  expect(sleptPart(new Breath(false))).toBe(0);
  const breath = new Breath(true);
  for (let nowMs = 0; nowMs < 1_000; nowMs += 5) {
    breath.slept(1, nowMs);
    expect(breath.dueMs(nowMs + 4)).toBe(0);
  }
});
