import { expect, test } from "bun:test";
import { HeldAcks } from "./held-acks.ts";
import { WordQueue } from "./queue.ts";

function queueOf(length: number): WordQueue {
  const queue = new WordQueue(64);
  for (let i = 0; i < length; i++) queue.push(i);
  return queue;
}

test("waits until what stood before its position has left the transmit queue", () => {
  const queue = queueOf(3);
  const held = new HeldAcks();
  held.hold(77, queue.end, false);
  queue.push(9); // What comes later is no part of the answer.
  for (let i = 0; i < 3; i++) {
    expect(held.release(queue, false)).toBe(-1);
    queue.shift();
  }
  expect([held.release(queue, false), held.count]).toEqual([77, 0]);
  expect(held.release(queue, false)).toBe(-1);
});

test("one that waits for a bulk waits until the bulk has been sent, too", () => {
  const queue = queueOf(0);
  const held = new HeldAcks();
  held.hold(1, queue.end, true);
  held.hold(2, queue.end, false);
  expect(held.release(queue, true)).toBe(2);
  expect(held.release(queue, true)).toBe(-1);
  expect(held.release(queue, false)).toBe(1);
});

test("number 0 is a number like any other", () => {
  const held = new HeldAcks();
  held.hold(0, 0, false);
  expect(held.release(queueOf(0), false)).toBe(0);
});

test("sixteen wait at most; who comes then is refused, and finds room when one has left", () => {
  const queue = queueOf(0);
  const held = new HeldAcks();
  for (let seq = 0; seq < 16; seq++) expect(held.hold(seq, seq === 9 ? 0 : 1, false)).toBe(true);
  expect(held.hold(16, 0, false)).toBe(false);
  expect(held.release(queue, false)).toBe(9);
  expect(held.hold(16, 0, false)).toBe(true);
  expect(held.release(queue, false)).toBe(16);
  held.clear();
  expect(held.count).toBe(0);
});

test("when the queue was put together anew, each waits until all of it has left", () => {
  const queue = queueOf(2);
  const held = new HeldAcks();
  held.hold(5, queue.end, false);
  held.hold(6, 0, false);
  for (let i = 0; i < 2; i++) queue.push(queue.shift());
  held.defer(queue.end);
  expect(held.release(queue, false)).toBe(-1);
  queue.shift();
  expect(held.release(queue, false)).toBe(-1);
  queue.shift();
  expect([held.release(queue, false), held.release(queue, false)].sort()).toEqual([5, 6]);
});
