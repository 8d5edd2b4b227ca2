import { expect, test } from "bun:test";
import { Pauses } from "./pauses.ts";

const MINUTE_MS = 60_000;

test("the longest since the start stays, the longest of late is forgotten in the minute after the next", () => {
  const pauses = new Pauses();
  pauses.paused(1, 10);
  pauses.paused(7, 20);
  pauses.paused(2, 30);
  expect([pauses.turns, pauses.longestMs, pauses.recentMs(40)]).toEqual([3, 7, 7]);
  pauses.paused(3, MINUTE_MS + 1);
  expect(pauses.recentMs(2 * MINUTE_MS - 1)).toBe(7);
  expect(pauses.recentMs(2 * MINUTE_MS)).toBe(3);
  expect(pauses.recentMs(3 * MINUTE_MS)).toBe(0);
  expect(pauses.longestMs).toBe(7);
});

test("a minute in which nothing happened lies between: what came before it is not of late", () => {
  const pauses = new Pauses();
  pauses.paused(9, 0);
  pauses.paused(1, 2 * MINUTE_MS);
  expect(pauses.recentMs(2 * MINUTE_MS)).toBe(1);
});
