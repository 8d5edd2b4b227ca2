/** Timers that the kernel renews in silence, and damage that nobody reports. */
import { expect, test } from "bun:test";
import { give, makeFlow } from "../test/make-flow.ts";
import { extendedPair, type Node, PEER, pair, talk } from "../test/replica-node.ts";
import { Flow, HAS_MARK, MARK, portsWord, TIMEOUT } from "./flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW } from "./replica.ts";

const DAY = 86_400;
const FIVE_DAYS = 5 * DAY;
const numbered = (i: number, timeoutSeconds: number) => makeFlow({ ports: portsWord(1_000 + i, 443), timeoutSeconds });

function timeoutAt({ replica, nowMs }: Node, i: number): number {
  const flow = new Flow();
  replica.external.read(replica.external.find(numbered(i, 0)), flow, nowMs);
  return flow.words[TIMEOUT];
}

/** Lets time pass, both talking now and then. */
function passes(a: Node, b: Node, seconds: number, steps: number): void {
  for (let i = 0; i < steps; i++) talk(a, b, (seconds * 1_000) / steps);
}

test("a flow that is in use for days, without an event, has a right timer on the backup", () => {
  const [a, b] = extendedPair();
  a.event(EVENT_NEW, numbered(1, FIVE_DAYS));
  talk(a, b, 10);
  for (let day = 1; day <= 20; day++) {
    passes(a, b, DAY, 4);
    a.replica.kernelEntry(numbered(1, FIVE_DAYS), a.nowMs); // Its last packet was just now.
    passes(a, b, 20, 10);
    expect(timeoutAt(b, 1)).toBeGreaterThan((FIVE_DAYS * 3) / 4 - 60);
  }
  expect(a.replica.counters.proof.refreshed).toBeGreaterThan(8);
  expect(a.replica.counters.proof.refreshed).toBeLessThan(21);
});

test("a timer that was shortened is told too", () => {
  const [a, b] = extendedPair();
  a.event(EVENT_NEW, numbered(1, FIVE_DAYS));
  talk(a, b, 10);
  a.replica.kernelEntry(numbered(1, 60), a.nowMs);
  passes(a, b, 20, 10);
  expect(timeoutAt(b, 1)).toBeLessThanOrEqual(60);
});

test("a flow that expired without a word is gone on the backup once the kernel was found without it", () => {
  const [a, b] = extendedPair();
  a.event(EVENT_NEW, numbered(1, 30));
  talk(a, b, 10);
  passes(a, b, 120, 40);
  a.replica.internal.beginPass();
  a.replica.ended(a.replica.internal.nextUnseen(0), a.nowMs);
  talk(a, b, 10);
  expect(b.externalKeys()).toEqual([]);
});

test("refreshes are few at a time", () => {
  const [a, b] = extendedPair(4_000);
  for (let i = 0; i < 4_000; i++) a.event(EVENT_NEW, numbered(i, 180));
  for (let i = 0; i < 40; i++) talk(a, b, 50);
  passes(a, b, 60, 60);
  for (let i = 0; i < 4_000; i++) a.replica.kernelEntry(numbered(i, 180), a.nowMs);
  const counters = a.replica.counters.proof;
  for (let second = 1; second <= 8; second++) {
    const before = counters.refreshed;
    passes(a, b, 1, 10);
    expect(counters.refreshed - before).toBeLessThanOrEqual(1_000);
  }
  passes(a, b, 40, 400);
  expect(counters.refreshed).toBe(4_000);
});

test("a flow of the internal cache that nobody announced is found", () => {
  const [a, b] = extendedPair();
  talk(a, b, 10);
  a.replica.internal.create(numbered(1, 100), a.nowMs); // Behind the replica's back.
  passes(a, b, 25, 25);
  expect(b.externalKeys()).toHaveLength(1);
  expect(a.replica.counters.proof.untold).toBe(1);
});

test("damage to what the external cache holds is found and repaired", () => {
  const [a, b] = extendedPair();
  a.event(EVENT_NEW, give(numbered(1, 100), HAS_MARK, MARK, 7));
  talk(a, b, 10);
  const read = () => {
    const flow = new Flow();
    b.replica.external.read(b.replica.external.find(numbered(1, 0)), flow, b.nowMs);
    return flow;
  };
  const { heard } = b.replica.hosts[PEER]!;
  const told = read();
  const damaged = read();
  damaged.words[MARK] = 8;
  const slot = b.replica.external.find(told);
  b.replica.external.update(damaged, b.nowMs);
  heard.set(slot, told.words); // The digest still says what was told.
  passes(a, b, 25, 50);
  expect(b.replica.counters.proof.damaged).toBe(1);
  expect(read().words[MARK]).toBe(7);
});

test("towards another peer nothing is walked", () => {
  const [a, b] = pair();
  a.event(EVENT_NEW, numbered(1, 180));
  talk(a, b, 10);
  const sent = a.replica.counters.wire.flowsSent;
  for (let i = 0; i < 10; i++) {
    passes(a, b, 60, 10);
    a.replica.kernelEntry(numbered(1, 180), a.nowMs);
  }
  expect(a.replica.counters.wire.flowsSent).toBe(sent);
  a.event(EVENT_DESTROY, numbered(1, 0));
  talk(a, b, 10);
  expect(b.externalKeys()).toEqual([]);
});
