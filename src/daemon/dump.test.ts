/** A cache as lines, while it goes on changing. */
import { expect, test } from "bun:test";
import { monotonicMs } from "./clock.ts";
import { dumpStream, type Lines } from "./dump.ts";

test("what ends between two slices is not printed", async () => {
  const used = new Set(Array.from({ length: 100 }, (_, slot) => slot));
  const printed: number[] = [];
  const lines: Lines = {
    nextLive: (from) => [...used].find((slot) => slot >= from) ?? -1,
    line: (slot) => {
      if (!used.has(slot)) throw new Error("a free slot was printed");
      for (const endMs = monotonicMs() + 0.2; monotonicMs() < endMs; );
      printed.push(slot);
      return `${slot}`;
    },
  };
  let turns = 0;
  const nextTurn = async (): Promise<void> => {
    if (turns++ > 0) used.delete((printed.at(-1) ?? 0) + 1);
  };
  const text = await new Response(dumpStream(lines, nextTurn, () => {})).text();
  expect(turns).toBeGreaterThan(2);
  expect(text.split("\n").slice(0, -1)).toEqual([...used].map(String));
});
