import { expect, test } from "bun:test";
import { Breath } from "./breath.ts";

/** Turns of `turnMs`, each followed by a sleep of `restMs` at least. How much of each second it slept because it was told to. */
function toldToSleepMs(breath: Breath, turnMs: number, restMs: number, seconds = 1): number[] {
  const toldMs = new Array<number>(seconds).fill(0);
  for (let nowMs = 0; nowMs < seconds * 1_000; ) {
    const breathMs = breath.dueMs;
    breath.slept(Math.max(breathMs, restMs));
    breath.worked(turnMs);
    toldMs[Math.floor(nowMs / 1_000)]! += breathMs;
    nowMs += turnMs + Math.max(breathMs, restMs);
  }
  return toldMs;
}

test("who works without a pause leaves others the twentieth part of every second, and not much more", () => {
  for (const turnMs of [0.5, 2, 5, 9])
    for (const toldMs of toldToSleepMs(new Breath(), turnMs, 0, 5)) expect(toldMs).toBeWithin(50, 96);
});

test("some tenths of a second are free, after a rest again", () => {
  const breath = new Breath();
  const free = (): void => {
    for (let workedMs = 0; workedMs < 390; workedMs += 2) {
      expect(breath.dueMs).toBe(0);
      breath.worked(2);
    }
  };
  free();
  breath.slept(80);
  free();
});

test("who sleeps by itself, however briefly each time, needs no breath", () => {
  expect(toldToSleepMs(new Breath(), 0.03, 0.01)).toEqual([0]);
});
