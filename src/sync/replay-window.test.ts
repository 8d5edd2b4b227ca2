import { expect, test } from "bun:test";
import fc from "fast-check";
import { ReplayWindow, WINDOW } from "./replay-window.ts";

/** What the window should answer, from all that it ever saw. */
class Model {
  readonly #seen = new Set<number>();
  #highest = -1;

  take(counter: number): string {
    if (this.#highest - counter >= WINDOW) return "tooOld";
    if (this.#seen.has(counter)) return "replayed";
    this.#seen.add(counter);
    this.#highest = Math.max(this.#highest, counter);
    return "fresh";
  }
}

const take = (window: ReplayWindow, counter: number): string => {
  const answer = window.judge(counter);
  if (answer === "fresh") window.mark(counter);
  return answer;
};

test("whatever order counters come in, each is fresh once, and beyond the window never", () => {
  const step = fc.oneof(
    fc.integer({ min: -40, max: 40 }),
    fc.integer({ min: -2 * WINDOW, max: 2 * WINDOW }),
    fc.constantFrom(-WINDOW - 1, -WINDOW, 1 - WINDOW, -32, 0, 31, 32, WINDOW, WINDOW + 31, WINDOW + 32, WINDOW + 33),
  );
  const base = fc.constantFrom(0, 1, 31, 32, 2 ** 32 - 50, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER - 200 * WINDOW);
  fc.assert(
    fc.property(base, fc.array(step, { maxLength: 150 }), (start, steps) => {
      const [window, model] = [new ReplayWindow(), new Model()];
      let at = start;
      for (const by of steps) {
        at = Math.max(0, at + by);
        expect(take(window, at)).toBe(model.take(at));
      }
    }),
    { numRuns: 300 },
  );
});

test("64 datagrams in any order, thousands late, are all taken", () => {
  const window = new ReplayWindow();
  for (let i = 5_000; i < 10_000; i++) expect(take(window, i)).toBe("fresh");
  for (let i = 4_999; i >= 2_000; i--) expect(take(window, i)).toBe("fresh");
  for (let i = 2_000; i < 10_000; i++) expect(take(window, i)).toBe("replayed");
});

test("what a new highest counter skips is fresh, whatever had its place in the ring before", () => {
  const window = new ReplayWindow();
  for (let i = 0; i < 10_000; i++) expect(take(window, i)).toBe("fresh");
  expect(take(window, 17_000)).toBe("fresh");
  for (let i = 10_000; i < 17_000; i++) expect(take(window, i)).toBe("fresh");
  expect(take(window, 1_000_000)).toBe("fresh");
  for (let i = 1_000_001 - WINDOW; i < 1_000_000; i++) expect(take(window, i)).toBe("fresh");
});

test("judging leaves no trace", () => {
  const window = new ReplayWindow();
  expect(take(window, 5)).toBe("fresh");
  expect(window.judge(Number.MAX_SAFE_INTEGER)).toBe("fresh");
  expect(window.judge(4)).toBe("fresh");
  expect(take(window, 4)).toBe("fresh");
  expect(take(window, 5)).toBe("replayed");
});

test("after a reset counters count anew", () => {
  const window = new ReplayWindow();
  expect(take(window, 9_000_000)).toBe("fresh");
  expect(take(window, 1)).toBe("tooOld");
  window.reset();
  expect(take(window, 1)).toBe("fresh");
});
