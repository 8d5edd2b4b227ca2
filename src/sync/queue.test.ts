import { expect, test } from "bun:test";
import fc from "fast-check";
import { WordQueue } from "./queue.ts";

test("does what a list would do, and says of every position whether what stood there has left", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.boolean(), { maxLength: 200 }), (capacity, pushes) => {
      const queue = new WordQueue(capacity);
      const size = 2 ** Math.ceil(Math.log2(Math.max(capacity, 2)));
      const waiting: { word: number; position: number }[] = [];
      const left: number[] = [];
      let word = 0xfffffff0;
      for (const isPush of pushes) {
        if (isPush) {
          const position = queue.end;
          expect(queue.push(word)).toBe(waiting.length < size);
          if (waiting.length < size) waiting.push({ word, position });
          word = (word + 1) >>> 0;
        } else if (waiting.length > 0) {
          const { word: expected, position } = waiting.shift()!;
          expect(queue.shift()).toBe(expected);
          left.push(position);
        }
        expect(queue.length).toBe(waiting.length);
        // "Everything before" a position has left once what stood just before it has.
        for (const position of left) expect(queue.passed(position + 1)).toBe(true);
        for (const { position } of waiting) expect(queue.passed(position + 1)).toBe(false);
        expect(queue.passed(queue.end)).toBe(waiting.length === 0);
        for (const [i, { word: expected }] of waiting.toReversed().entries())
          expect(queue.fromEnd(i + 1)).toBe(expected);
      }
    }),
  );
});

test("positions count up for ever, over many turns of the array", () => {
  const queue = new WordQueue(4);
  for (let i = 0; i < 1_000; i++) {
    queue.push(i);
    queue.push(i + 0x80000000);
    expect(queue.end).toBe(2 * i + 2);
    expect([queue.shift(), queue.shift()]).toEqual([i, i + 0x80000000]);
  }
  expect([queue.passed(2_000), queue.passed(2_001)]).toEqual([true, false]);
});

test("a word may be changed while it waits, also behind the end of the array", () => {
  const queue = new WordQueue(4);
  for (const word of [1, 2, 3]) queue.push(word);
  queue.shift();
  queue.shift();
  for (const word of [4, 5, 6]) queue.push(word);
  queue.setFromEnd(1, 60);
  queue.setFromEnd(4, 30);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([30, 4, 5, 60]);
});
