import { expect, test } from "bun:test";
import { collect } from "./collect.ts";

/** Plays a daemon that hears so many messages in each wait, until it has collected twice: what it waited before each. */
function waits(load: (waits: number) => number): number[][] {
  const events = { received: 0 };
  const node = { events, replica: { counters: { wire: { datagrams: 0 } } } };
  const before: number[][] = [[]];
  const job = collect(node as never, () => void before.push([]));
  for (let i = 0; before.length < 3; i++) {
    const { value } = job.next();
    if (before.length < 3) before.at(-1)!.push(Number(value));
    events.received += load(i);
  }
  return before.slice(0, 2);
}

test("the first collection comes in a moment without load, or after fifteen seconds; the next one a minute later", () => {
  expect(waits(() => 0)).toEqual([[500], [60_000]]);
  expect(waits((i) => (i < 3 ? 1_000 : 10))).toEqual([[500, 500, 500, 500], [60_000]]);
  expect(waits(() => 10_000)).toEqual([Array.from({ length: 30 }, () => 500), [60_000]]);
});
