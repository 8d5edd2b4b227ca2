import { describe, expect, test } from "bun:test";
import { makeExpectation } from "../../test/make-expectation.ts";
import { ExpectationTable, withTimeLeft } from "./expectation-table.ts";
import { ExternalExpectations } from "./external-expectations.ts";
import { ALIVE, DEAD, FRESH } from "./internal.ts";
import { InternalExpectations } from "./internal-expectations.ts";

const NOW_MS = 1_000_000;

test("a table finds by key, reuses slots, and is full when it is full", () => {
  const table = new ExpectationTable(2);
  expect([table.put(makeExpectation(1)), table.put(makeExpectation(2)), table.put(makeExpectation(3))]).toEqual([
    0, 1, -1,
  ]);
  expect(table.put(makeExpectation(1, { timeoutSeconds: 9 }))).toBe(0);
  expect(table.at(0).timeoutSeconds).toBe(9);
  table.remove(0);
  expect([table.find(makeExpectation(1)), table.find(makeExpectation(2)), table.nextUsed(0)]).toEqual([-1, 1, 1]);
  expect(table.put(makeExpectation(3))).toBe(0);
  expect([table.count, table.end]).toEqual([2, 2]);
  table.clear();
  expect([table.count, table.nextUsed(0), table.find(makeExpectation(3))]).toEqual([0, -1, -1]);
});

test("a timeout runs down to 0, and one that is not known stays so", () => {
  expect(withTimeLeft(makeExpectation(1), 100).timeoutSeconds).toBe(200);
  expect(withTimeLeft(makeExpectation(1), 301).timeoutSeconds).toBe(0);
  const { timeoutSeconds, ...without } = makeExpectation(1);
  expect(timeoutSeconds).toBe(300);
  expect(withTimeLeft(without, 5)).toEqual(without);
});

describe("the internal cache", () => {
  test("an expectation is fresh until all peers have it, and dead until all know that", () => {
    const cache = new InternalExpectations(4, 2);
    const [one, other] = [cache.ownerFor(0), cache.ownerFor(1)];
    const slot = cache.create(makeExpectation(1), NOW_MS);
    one.release(slot);
    expect(cache.stageOf(slot)).toBe(FRESH);
    other.release(slot);
    expect(cache.stageOf(slot)).toBe(ALIVE);
    cache.kill(slot);
    expect([cache.stageOf(slot), cache.count, one.nextLive(0), cache.find(makeExpectation(1))]).toEqual([
      DEAD,
      0,
      -1,
      slot,
    ]);
    one.release(slot);
    other.release(slot);
    expect(cache.find(makeExpectation(1))).toBe(-1);
    other.release(slot); // An acknowledgement that comes twice.
    expect(cache.count).toBe(0);
  });

  test("one that is made again while it is dead lives, and is fresh", () => {
    const cache = new InternalExpectations(4, 1);
    const slot = cache.create(makeExpectation(1), NOW_MS);
    cache.kill(slot);
    expect(cache.create(makeExpectation(1), NOW_MS + 5_000)).toBe(slot);
    expect([cache.stageOf(slot), cache.count, cache.ageSeconds(slot, NOW_MS + 7_000)]).toEqual([FRESH, 1, 2]);
  });

  test("what is seen again is news only when it says something else than the time left", () => {
    const cache = new InternalExpectations(4, 1);
    expect(cache.see(makeExpectation(1), NOW_MS)).toBeTrue();
    expect(cache.see(makeExpectation(1, { timeoutSeconds: 250 }), NOW_MS + 50_000)).toBeFalse();
    expect(cache.read(0, NOW_MS + 60_000).timeoutSeconds).toBe(240);
    expect(cache.see(makeExpectation(1, { class: 1 }), NOW_MS)).toBeTrue();
    cache.kill(0);
    expect(cache.see(makeExpectation(1, { class: 1 }), NOW_MS)).toBeTrue();
  });

  test("a pass tells what it did not see; what is made meanwhile counts as seen", () => {
    const cache = new InternalExpectations(4, 1);
    for (const port of [1, 2, 3]) cache.create(makeExpectation(port), NOW_MS);
    cache.beginPass();
    cache.see(makeExpectation(2), NOW_MS);
    cache.create(makeExpectation(4), NOW_MS);
    expect([cache.nextUnseen(0), cache.nextUnseen(1), cache.nextUnseen(3)]).toEqual([0, 2, -1]);
  });

  test("the dead make room for the living", () => {
    const cache = new InternalExpectations(2, 1);
    cache.create(makeExpectation(1), NOW_MS);
    cache.create(makeExpectation(2), NOW_MS);
    cache.kill(0);
    expect([cache.create(makeExpectation(3), NOW_MS), cache.see(makeExpectation(3), NOW_MS)]).toEqual([-1, false]);
    const forgotten: number[] = [];
    cache.forgetDead((slot) => forgotten.push(slot));
    expect([...forgotten, cache.create(makeExpectation(3), NOW_MS)]).toEqual([0, 0]);
  });

  test("without peers nobody waits for the dead", () => {
    const cache = new InternalExpectations(2, 0);
    cache.kill(cache.create(makeExpectation(1), NOW_MS));
    expect([cache.count, cache.find(makeExpectation(1))]).toEqual([0, -1]);
  });
});

describe("the external cache", () => {
  test("ages from the first word or from a new one, and counts down from the last", () => {
    const cache = new ExternalExpectations(2);
    expect(cache.learn(makeExpectation(1), false, NOW_MS, 0)).toBeTrue();
    cache.learn(makeExpectation(1), false, NOW_MS + 5_000, 0);
    expect(cache.ageSeconds(0, NOW_MS + 6_000)).toBe(6);
    expect(cache.read(0, NOW_MS + 6_000).timeoutSeconds).toBe(299);
    cache.learn(makeExpectation(1), true, NOW_MS + 6_000, 0);
    expect(cache.ageSeconds(0, NOW_MS + 6_000)).toBe(0);
  });

  test("full is an answer, and so is the end of what is not there", () => {
    const cache = new ExternalExpectations(1);
    expect([cache.destroy(makeExpectation(1)), cache.learn(makeExpectation(1), true, NOW_MS, 0)]).toEqual([
      false,
      true,
    ]);
    expect([cache.learn(makeExpectation(2), true, NOW_MS, 0), cache.destroy(makeExpectation(1))]).toEqual([
      false,
      true,
    ]);
    expect(cache.count).toBe(0);
  });

  test("what a peer told of before it was asked, and not since, is stale", () => {
    const cache = new ExternalExpectations(4);
    for (const [port, peer] of [
      [1, 0],
      [2, 0],
      [3, 1],
    ] as const)
      cache.learn(makeExpectation(port), true, NOW_MS, peer);
    cache.beginRound(0);
    cache.learn(makeExpectation(2), false, NOW_MS, 0);
    expect([0, 1, 2, 3].map((slot) => cache.isStale(slot, 0))).toEqual([true, false, false, false]);
  });
});
