/** Expectations through two replicas: what one kernel announces stands in the other's external cache. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeExpectation } from "../test/make-expectation.ts";
import { makeFlow } from "../test/make-flow.ts";
import { type Node, pair, talk } from "../test/replica-node.ts";
import { expectationLine } from "./flow/expectation-text.ts";
import { portsWord } from "./flow/flow.ts";
import { EVENT_NEW } from "./replica.ts";

function held({ replica, nowMs }: Node, cache: "internal" | "external" = "external"): string[] {
  const table = replica.expectations[cache];
  const lines: string[] = [];
  for (let slot = table.nextLive(0); slot >= 0; slot = table.nextLive(slot + 1))
    lines.push(expectationLine(table.read(slot, nowMs), 0));
  return lines.sort();
}
const lines = (...ports: number[]): string[] => ports.map((port) => expectationLine(makeExpectation(port), 0)).sort();

const began = (node: Node, ...ports: number[]): void => {
  for (const port of ports) node.replica.expectations.kernelEvent(true, makeExpectation(port), node.nowMs);
};
const ended = (node: Node, port: number): void =>
  node.replica.expectations.kernelEvent(false, makeExpectation(port), node.nowMs);

describe("an expectation of one kernel", () => {
  test("is held by the peer until it ends", () => {
    const [a, b] = pair();
    began(a, 1, 2);
    talk(a, b);
    expect(held(b)).toEqual(lines(1, 2));
    ended(a, 1);
    talk(a, b);
    expect(held(b)).toEqual(lines(2));
    expect(b.replica.counters.wire).toMatchObject({ expectationsReceived: 3, badPayload: 0 });
    expect(a.replica.counters.wire.expectationsSent).toBe(3);
    expect(a.replica.sessions[0].unacknowledged).toBeLessThanOrEqual(3);
  });

  test("is sent again when it was lost, in its newest state", () => {
    const [a, b] = pair();
    began(a, 1, 2);
    a.says(); // Lost.
    ended(a, 1);
    a.event(EVENT_NEW, makeFlow());
    for (let i = 0; i < 6; i++) talk(a, b, 1_000);
    expect(held(b)).toEqual(held(a, "internal"));
    expect(b.replica.external.count).toBe(1);
    expect(a.replica.expectations.internal.count).toBe(1);
  });

  test("follows the flows in a bulk", () => {
    const [a, b] = pair();
    began(a, 1, 2);
    a.event(EVENT_NEW, makeFlow());
    talk(a, b);
    b.replica.flushExternal();
    expect(held(b)).toEqual([]);
    b.replica.sessions[0].request();
    talk(a, b);
    expect(held(b)).toEqual(lines(1, 2));
    expect(b.replica.external.count).toBe(1);
    expect(b.replica.sessions[0].requestDone).toBeTrue();
  });

  test("goes from the peer when it is not named any more", () => {
    const [a, b] = pair();
    began(a, 1, 2);
    talk(a, b);
    a.replica.flushInternal();
    began(a, 2);
    b.replica.sessions[0].request();
    for (let i = 0; i < 70; i++) talk(a, b, 1_000);
    expect(held(b)).toEqual([expectationLine(makeExpectation(2), 0)]);
    expect(b.replica.counters.cache.expectationsStale).toBe(1);
  });
});

test("a dump of the kernel tells peers what they do not know, once", () => {
  const [a, b] = pair();
  a.replica.expectations.kernelEntry(makeExpectation(1), a.nowMs);
  talk(a, b);
  a.replica.expectations.kernelEntry(makeExpectation(1, { timeoutSeconds: 200 }), a.nowMs);
  talk(a, b);
  expect(a.replica.counters.wire.expectationsSent).toBe(1);
  expect(held(b)).toHaveLength(1);
});

test("an expectation of the firewall's own session is ignored, and counted; one whose master is replicated is not", () => {
  const [a, b] = pair();
  a.event(EVENT_NEW, makeFlow({ ports: portsWord(40_000, 21) }));
  a.filter.setOwn([{ family: 4, words: [0x0a000001], prefixBits: 32 }]);
  began(a, 1);
  const { master, ...rest } = makeExpectation(2);
  const own = { ...rest, master: { ...master, ports: portsWord(1, 21) } };
  a.replica.expectations.kernelEvent(true, own, a.nowMs);
  talk(a, b);
  expect(held(b)).toHaveLength(1);
  expect(a.replica.counters.cache.expectationsIgnored).toBe(1);
});

test("one too many is counted at either end, and those that ended make room", () => {
  const [a, b] = pair();
  const most = a.replica.expectations.internal.slotsMax;
  const ports = Array.from({ length: most }, (_, i) => i + 1);
  began(a, ...ports, 1_000);
  expect(a.replica.counters.cache.expectationsFull).toBe(1);
  ended(a, 1);
  began(a, 1_001);
  expect(a.replica.counters.cache).toMatchObject({ expectationsFull: 1, destroysForgotten: 1 });
  talk(a, b);
  expect(held(b)).toEqual(lines(...ports.slice(1), 1_001));
  for (const port of ports.slice(1)) b.replica.expectations.external.destroy(makeExpectation(port));
  expect(b.replica.expectations.external.count).toBe(1);
});

test("the end of one that nobody knows is counted", () => {
  const [a, b] = pair();
  began(a, 1);
  talk(a, b);
  b.replica.flushExternal();
  ended(a, 1);
  talk(a, b);
  expect(b.replica.counters.cache.expectationsUnknown).toBe(1);
});

test("whatever is lost on the way, the peer holds in the end what the kernel has", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constantFrom("began", "ended", "flow"), port: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ what: fc.constantFrom("lost", "unheard", "heard", "request", "bulk"), port: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const [a, b] = pair();
      for (const { what, port } of steps) {
        if (what === "began") began(a, port);
        else if (what === "ended") ended(a, port);
        else if (what === "flow") a.event(EVENT_NEW, makeFlow({ ports: port }));
        else if (what === "lost") a.says(100);
        else if (what === "unheard") a.hears(...b.says(100).slice(1));
        else if (what === "request") b.replica.sessions[0].request();
        else if (what === "bulk") a.replica.sessions[0].bulk();
        else talk(a, b, 100);
      }
      for (let i = 0; i < 12; i++) talk(a, b, 1_000);
      expect(held(b)).toEqual(held(a, "internal"));
      expect(b.replica.external.count).toBe(a.replica.internal.count);
    }),
    { numRuns: 300 },
  );
});
