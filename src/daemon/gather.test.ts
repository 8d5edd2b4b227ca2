import { expect, test } from "bun:test";
import { Gather } from "./gather.ts";

/** Looks every `everyMs` for `forMs`, and finds `perMs` events a millisecond. */
function look(gather: Gather, fromMs: number, forMs: number, everyMs: number, perMs: number): void {
  for (let atMs = fromMs; atMs < fromMs + forMs; atMs += everyMs) gather.looked(perMs * everyMs, atMs);
}

test("gathers while events stream, and stops when they trickle", () => {
  const gather = new Gather(0.5);
  look(gather, 0, 100, 2, 0.5);
  expect(gather.busy).toBe(false);
  look(gather, 100, 50, 1, 5);
  expect(gather.busy).toBe(true);
  expect(gather.dueMs).toBe(149.5);
  look(gather, 150, 20, 0.5, 0.8); // Between the two rates it goes on as it was.
  expect(gather.busy).toBe(true);
  look(gather, 170, 50, 1, 0.1);
  expect(gather.busy).toBe(false);
});

test("waits for a datagram's worth, between part of a millisecond and the most it may", () => {
  const waitMs = (perMs: number): number => {
    const gather = new Gather(2);
    look(gather, 0, 100, 1, perMs);
    return gather.dueMs - 99;
  };
  expect(waitMs(100)).toBeCloseTo(0.7);
  expect(waitMs(10)).toBeCloseTo(1.4);
  expect(waitMs(2)).toBeCloseTo(2);
});

test("one burst does not count as a stream for long", () => {
  const gather = new Gather(0.5);
  gather.looked(1_000, 1_000);
  gather.looked(0, 1_100);
  expect(gather.busy).toBe(false);
});

test("never gathers when told not to", () => {
  const gather = new Gather(0);
  look(gather, 0, 100, 1, 1_000);
  expect(gather.busy).toBe(false);
});
