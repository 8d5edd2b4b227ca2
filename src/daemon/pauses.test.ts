import { expect, test } from "bun:test";
import { ThreadUsage } from "../../ffi/scheduler.ts";
import { type LongestPause, Pauses, type Usage } from "./pauses.ts";

const MINUTE_MS = 60_000;

/** A thread whose figures the test sets; a view shows those of its last look. */
const thread = { cpuMs: 0, waits: 0, preemptions: 0, diskFaults: 0 };
class View implements Usage {
  cpuMs = 0;
  waits = 0;
  preemptions = 0;
  diskFaults = 0;

  look(): void {
    Object.assign(this, thread);
  }
}

const some = (): Pauses => new Pauses(new View(), new View());

/** A turn of so many milliseconds that ends at `nowMs`. */
function turn(pauses: Pauses, milliseconds: number, nowMs: number): void {
  pauses.began(nowMs - milliseconds);
  pauses.ended(nowMs);
}

test("the longest since the start stays, the longest of late is forgotten in the minute after the next", () => {
  const pauses = some();
  turn(pauses, 1, 10);
  turn(pauses, 7, 20);
  turn(pauses, 2, 30);
  expect([pauses.turns, pauses.longestMs, pauses.recentMs(40)]).toEqual([3, 7, 7]);
  turn(pauses, 3, MINUTE_MS + 1);
  expect(pauses.recentMs(2 * MINUTE_MS - 1)).toBe(7);
  expect(pauses.recentMs(2 * MINUTE_MS)).toBe(3);
  expect(pauses.recentMs(3 * MINUTE_MS)).toBe(0);
  expect(pauses.longestMs).toBe(7);
});

test("a minute in which nothing happened lies between: what came before it is not of late", () => {
  const pauses = some();
  turn(pauses, 9, 0);
  turn(pauses, 1, 2 * MINUTE_MS);
  expect(pauses.recentMs(2 * MINUTE_MS)).toBe(1);
});

test("of the longest it is known which part took most of it, and what the thread had of the processor meanwhile", () => {
  const pauses = some();
  Object.assign(thread, { cpuMs: 100, waits: 10, preemptions: 3, diskFaults: 0 });
  turn(pauses, 1, 10);
  expect(pauses.longest).toBeNull(); // Too short to be worth it.
  pauses.began(20);
  pauses.did("events", 21);
  pauses.did("sending", 27);
  pauses.did("bun", 28);
  Object.assign(thread, { cpuMs: 101.5, waits: 11, preemptions: 5, diskFaults: 7 });
  pauses.ended(28);
  const longest: LongestPause = {
    ...{ milliseconds: 8, atMs: 28, part: "sending", partMs: 6 },
    ...{ cpuMs: 1.5, waits: 1, preemptions: 2, diskFaults: 7 },
  };
  expect(pauses.longest).toEqual(longest);
  turn(pauses, 5, 40);
  expect(pauses.longest).toEqual(longest);
});

test("the figures of a real thread: work is time on a processor, a sleep is a wait", () => {
  const [before, after] = [new ThreadUsage(), new ThreadUsage()];
  before.look();
  const endMs = performance.now() + 20;
  while (performance.now() < endMs);
  after.look();
  expect(after.cpuMs - before.cpuMs).toBeWithin(1, 21);
  const { waits } = after;
  for (let i = 0; i < 3; i++) Bun.sleepSync(1);
  after.look();
  expect(after.waits - waits).toBeGreaterThanOrEqual(3);
});
