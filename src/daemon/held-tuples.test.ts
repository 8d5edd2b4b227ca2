import { expect, test } from "bun:test";
import { KEY_WORDS } from "../flow/flow.ts";
import { HeldTuples } from "./held-tuples.ts";

function world() {
  const waiting: number[] = [];
  const held = new HeldTuples({
    next: (words) => {
      const number = waiting.shift();
      if (number !== undefined) words.fill(number, 0, KEY_WORDS);
      return number !== undefined;
    },
  });
  const all = (): number[] => {
    const words = new Uint32Array(KEY_WORDS);
    const found: number[] = [];
    while (held.next(words)) {
      expect(new Set(words).size).toBe(1);
      found.push(words[0]);
    }
    return found;
  };
  return { held, waiting, all };
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test("what was remembered, then what waits; each once", () => {
  const { held, waiting, all } = world();
  waiting.push(1, 2);
  held.remember();
  waiting.push(3);
  expect(all()).toEqual([1, 2, 3]);
  expect(all()).toEqual([]);
});

test("of too many the last are remembered, however they came", () => {
  const { held, waiting, all } = world();
  for (let from = 0; from < 1_000; from += 100) {
    waiting.push(...numbers(from, from + 100));
    held.remember();
    expect(waiting).toEqual([]);
  }
  expect(all()).toEqual(numbers(744, 1_000));
});

test("a busy connection's packets count as one, and push nobody out", () => {
  const { held, waiting, all } = world();
  waiting.push(7, ...Array(1_000).fill(8), 9, 7);
  held.remember();
  expect(all()).toEqual([7, 8, 9]);
  waiting.push(8);
  held.remember();
  expect(all()).toEqual([8]);
});

test("one look reads no more than a full socket has", () => {
  const { held, waiting } = world();
  waiting.push(...numbers(0, 10_000));
  held.remember();
  expect(waiting.length).toBeGreaterThan(5_000);
});
