import { expect, test } from "bun:test";
import { WordQueue } from "./queue.ts";
import { Unsettled } from "./unsettled.ts";

/** Puts a flow that was sent as `seq` into the queue. */
function wait(unsettled: Unsettled, queue: WordQueue, seq: number): void {
  queue.push(1);
  unsettled.waits(seq, queue.end);
}

test("without waiting flows the ring alone counts", () => {
  expect(new Unsettled().from(new WordQueue(8), 77)).toBe(77);
});

test("a flow that waits to be sent again holds the number back until it has left the queue", () => {
  const unsettled = new Unsettled();
  const queue = new WordQueue(8);
  wait(unsettled, queue, 50);
  expect(unsettled.from(queue, 77)).toBe(50);
  queue.shift();
  expect(unsettled.from(queue, 80)).toBe(80);
});

test("the number moves on though there is always one more", () => {
  const unsettled = new Unsettled();
  const queue = new WordQueue(64);
  const seen: number[] = [];
  for (let seq = 100; seq < 200; seq++) {
    wait(unsettled, queue, seq);
    if (queue.length > 5) queue.shift();
    seen.push(unsettled.from(queue, seq + 50));
  }
  // Never above the oldest that waits, and not further below it than two queues.
  for (const [i, from] of seen.entries()) {
    const oldest = Math.max(100, 100 + i - 4);
    expect(from).toBeLessThanOrEqual(oldest);
    expect(from).toBeGreaterThanOrEqual(oldest - 12);
  }
});

test("a queue that is put together anew holds all back until it is through", () => {
  const unsettled = new Unsettled();
  const queue = new WordQueue(8);
  wait(unsettled, queue, 50);
  queue.push(queue.shift());
  unsettled.defer(queue.end);
  expect(unsettled.from(queue, 77)).toBe(50);
  queue.shift();
  expect(unsettled.from(queue, 77)).toBe(77);
});

test("numbers wrap", () => {
  const unsettled = new Unsettled();
  const queue = new WordQueue(8);
  wait(unsettled, queue, 0xfffffff0);
  expect(unsettled.from(queue, 5)).toBe(0xfffffff0);
});
