import { describe, expect, test } from "bun:test";
import { makeFlow } from "../../test/make-flow.ts";
import { ORIG_PORTS } from "../flow/flow.ts";
import { REIGN } from "../sync/claim.ts";
import { FlowHash } from "./hash.ts";
import { SeenFlows } from "./seen-flows.ts";

const numbered = (number: number): Uint32Array => {
  const { words } = makeFlow();
  words[ORIG_PORTS] = number;
  return words;
};

const CLAIM = 2 * REIGN + 7;

describe("flows that left us of late", () => {
  test("are known for one to two turns, and for as long as nobody turns", () => {
    const seen = new SeenFlows(new FlowHash(1, 2));
    seen.note(numbered(1), CLAIM);
    expect([seen.has(numbered(1)), seen.has(numbered(2))]).toEqual([true, false]);
    seen.turn();
    seen.note(numbered(2), CLAIM);
    expect([seen.has(numbered(1)), seen.has(numbered(2))]).toEqual([true, true]);
    seen.turn();
    expect([seen.has(numbered(1)), seen.has(numbered(2))]).toEqual([false, true]);
    seen.turn();
    expect([seen.has(numbered(1)), seen.has(numbered(2))]).toEqual([false, false]);
  });

  test("that are too many to be told apart all count as ended", () => {
    const seen = new SeenFlows(new FlowHash(1, 2));
    const words = numbered(0);
    for (let number = 0; number < 300_000; number++) {
      words[ORIG_PORTS] = number;
      seen.note(words, CLAIM);
    }
    expect(seen.has(numbered(4_000_000_000))).toBe(true);
    seen.claimed(numbered(1), CLAIM + 1, CLAIM); // Room for one, but which found none nobody knows.
    expect(seen.has(numbered(4_000_000_000))).toBe(true);
    seen.turn();
    expect(seen.has(numbered(4_000_000_000))).toBe(true);
    seen.turn();
    expect(seen.has(numbered(1))).toBe(false);
  });

  test("are a peer's under a higher claim than ours, if it knew of ours", () => {
    const seen = new SeenFlows(new FlowHash(1, 2));
    for (const turns of [0, 1]) {
      seen.note(numbered(1), CLAIM);
      if (turns > 0) seen.turn();
      for (const known of [0, CLAIM - 1]) seen.claimed(numbered(1), CLAIM + 9, known);
      seen.claimed(numbered(1), CLAIM, CLAIM);
      seen.claimed(numbered(2), CLAIM + 1, CLAIM);
      expect(seen.has(numbered(1))).toBe(true);
      seen.claimed(numbered(1), CLAIM + 1, CLAIM);
      expect(seen.has(numbered(1))).toBe(false);
    }
  });
});
