import { describe, expect, test } from "bun:test";
import { makeFlow } from "../../test/make-flow.ts";
import { ORIG_PORTS } from "../flow/flow.ts";
import { EndedFlows } from "./ended-flows.ts";
import { FlowHash } from "./hash.ts";

const numbered = (number: number): Uint32Array => {
  const { words } = makeFlow();
  words[ORIG_PORTS] = number;
  return words;
};

describe("flows that ended of late", () => {
  test("are known for one to two turns, and for as long as nobody turns", () => {
    const ended = new EndedFlows(new FlowHash(1, 2));
    ended.note(numbered(1));
    expect([ended.has(numbered(1)), ended.has(numbered(2))]).toEqual([true, false]);
    ended.turn();
    ended.note(numbered(2));
    expect([ended.has(numbered(1)), ended.has(numbered(2))]).toEqual([true, true]);
    ended.turn();
    expect([ended.has(numbered(1)), ended.has(numbered(2))]).toEqual([false, true]);
    ended.turn();
    expect([ended.has(numbered(1)), ended.has(numbered(2))]).toEqual([false, false]);
  });

  test("that are too many to be told apart all count as ended", () => {
    const ended = new EndedFlows(new FlowHash(1, 2));
    const words = numbered(0);
    for (let number = 0; number < 300_000; number++) {
      words[ORIG_PORTS] = number;
      ended.note(words);
    }
    expect(ended.has(numbered(4_000_000_000))).toBe(true);
    ended.turn();
    ended.turn();
    expect(ended.has(numbered(1))).toBe(false);
  });
});
