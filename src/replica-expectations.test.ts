/** Expectations through two replicas: what one kernel announces stands in the other's external cache. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeExpectation } from "../test/make-expectation.ts";
import { makeFlow } from "../test/make-flow.ts";
import { extendedPair, type Node, PEER, pair, talk } from "../test/replica-node.ts";
import { expectationLine } from "./flow/expectation-text.ts";
import { portsWord } from "./flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW } from "./replica.ts";

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

/** FTP's session, which is the master of every expectation here. */
const session = () => makeFlow({ ports: portsWord(40_000, 21) });
const seconds = (a: Node, b: Node, count: number): void => {
  for (let i = 0; i < count; i++) talk(a, b, 1_000);
};

describe("between extended nodes an expectation", () => {
  test("is part of the proof, and proven by two messages a second as flows are", () => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, session());
    began(a, 1, 2);
    talk(a, b);
    const { differed } = b.replica.counters.proof;
    seconds(a, b, 3);
    expect(a.replica.proof(PEER)).toMatchObject({ flows: 1, expectations: 2, differing: 0, leftovers: 0 });
    expect(b.replica.held(PEER)).toMatchObject({ flows: 1, expectations: 2, differing: 0 });
    ended(a, 1);
    seconds(a, b, 3);
    expect(a.replica.proof(PEER)).toMatchObject({ flows: 1, expectations: 1, differing: 0 });
    expect(b.replica.counters.proof.differed).toBe(differed);
  });

  test.each([
    ["is missing at the peer", (b: Node) => b.replica.expectations.external.destroy(makeExpectation(1))],
    [
      "is another one there",
      (b: Node) => b.replica.expectations.external.learn(makeExpectation(1, { class: 1 }), false, b.nowMs, PEER),
    ],
    ["is there alone", (b: Node) => b.replica.expectations.external.learn(makeExpectation(9), true, b.nowMs, PEER)],
    ["is missing there with all others", (b: Node) => b.replica.flushExternal()],
  ] as const)("that %s is repaired within seconds, and nothing else is sent again", (_, spoil) => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, session());
    began(a, 1, 2, 3);
    seconds(a, b, 3);
    const { expectationsSent } = a.replica.counters.wire;
    spoil(b);
    expect(held(b)).not.toEqual(lines(1, 2, 3));
    const spoiltMs = a.nowMs;
    seconds(a, b, 5);
    expect(held(b)).toEqual(lines(1, 2, 3));
    expect(a.replica.proof(PEER).equalMs).toBeGreaterThan(spoiltMs);
    expect(a.replica.counters.wire.expectationsSent - expectationsSent).toBeLessThanOrEqual(3);
    expect(a.replica.counters.wire.flowsSent).toBeLessThanOrEqual(2);
  });

  test("that changed here without a word is found by the walk, as is one whose digest at the peer is damaged", () => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, session());
    began(a, 1, 2);
    seconds(a, b, 3);
    a.replica.expectations.internal.see(makeExpectation(1, { class: 3 }), a.nowMs);
    seconds(a, b, 25);
    expect(held(b)).toEqual(held(a, "internal"));
    expect(a.replica.counters.proof.untold).toBe(1);
    const { external, firstSlot } = b.replica.expectations;
    const { heard } = b.replica.hosts[PEER]!;
    const slot = external.find(makeExpectation(1));
    b.replica.hosts[PEER]!.heard.setExpectation(firstSlot + slot, makeExpectation(1));
    b.replica.tick(b.nowMs + 11_000); // Before the next comparison.
    expect(heard.matchesExpectation(firstSlot + slot, makeExpectation(1, { class: 3 }))).toBe(true);
    expect(b.replica.counters.proof.damaged).toBe(1);
    seconds(a, b, 15);
    expect(a.replica.proof(PEER)).toMatchObject({ expectations: 2, differing: 0 });
  });

  test("is the new primary's once that announces its master; when the master is let go, a dump makes it ours again", () => {
    const [a, b] = extendedPair();
    a.replica.role = "master";
    b.replica.role = "backup";
    a.event(EVENT_NEW, session());
    began(a, 1);
    seconds(a, b, 3);
    a.replica.role = "backup";
    b.replica.role = "master";
    b.replica.kernelEntry(session(), b.nowMs, true); // What was committed is read, and claimed.
    b.replica.flushExternal();
    began(b, 1);
    seconds(a, b, 25);
    expect([held(a, "internal"), held(a), held(b, "internal"), held(b)]).toEqual([[], lines(1), lines(1), []]);
    const stood = makeExpectation(1);
    expect(a.replica.expectations.compareEntry(stood)).toBe("ignored");
    expect(a.replica.expectations.kernelEntry(stood, a.nowMs)).toBe(false);
    for (const node of [a, b]) expect(node.replica.proof(PEER)).toMatchObject({ differing: 0, leftovers: 0 });

    b.event(EVENT_DESTROY, session());
    ended(b, 1);
    seconds(a, b, 3);
    a.replica.kernelEntry(session(), a.nowMs);
    expect(a.replica.expectations.kernelEntry(stood, a.nowMs)).toBe(true);
    seconds(a, b, 3);
    expect([held(a, "internal"), held(b)]).toEqual([lines(1), lines(1)]);
  });

  test("that the peer was not told had ended, for want of room, goes there all the same", () => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, session());
    const most = a.replica.expectations.internal.slotsMax;
    const ports = Array.from({ length: most }, (_, i) => i + 1);
    began(a, ...ports);
    seconds(a, b, 3);
    ended(a, 1);
    ended(a, 2);
    began(a, 1_001, 1_002);
    expect(a.replica.counters.cache.destroysForgotten).toBe(2);
    seconds(a, b, 8);
    expect(held(b)).toEqual(lines(...ports.slice(2), 1_001, 1_002));
    expect(a.replica.proof(PEER)).toMatchObject({ expectations: most, differing: 0 });
  });
});

test("to a peer on an open channel nothing is proven, and a timer that was moved is not told", () => {
  const [a, b] = pair();
  began(a, 1);
  talk(a, b);
  expect(a.replica.expectations.moveTimer(makeExpectation(1, { timeoutSeconds: 900 }), a.nowMs)).toBe(true);
  seconds(a, b, 5);
  expect(a.replica.counters.wire).toMatchObject({ expectationsSent: 1, extensionsSent: 0 });
  const [c, d] = extendedPair();
  began(c, 1);
  talk(c, d);
  expect(c.replica.expectations.moveTimer(makeExpectation(1, { timeoutSeconds: 900 }), c.nowMs)).toBe(true);
  talk(c, d);
  expect(d.replica.expectations.external.read(0, d.nowMs).timeoutSeconds).toBe(900);
  expect(c.replica.expectations.moveTimer(makeExpectation(1, { timeoutSeconds: 897 }), c.nowMs)).toBe(false);
});

test("whatever is lost or damaged on the way, extended nodes come to be proven equal", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constantFrom("began", "ended", "flow"), port: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ what: fc.constantFrom("lost", "unheard", "heard", "bulk"), port: fc.constant(0) }),
    fc.record({ what: fc.constantFrom("dropped", "invented"), port: fc.integer({ min: 1, max: 6 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const [a, b] = extendedPair();
      const { external } = b.replica.expectations;
      for (const { what, port } of steps) {
        if (what === "began") began(a, port);
        else if (what === "ended") ended(a, port);
        else if (what === "flow") a.event(EVENT_NEW, makeFlow({ ports: port }));
        else if (what === "lost") a.says(100);
        else if (what === "unheard") a.hears(...b.says(100).slice(1));
        else if (what === "bulk") a.replica.sessions[0].bulk();
        else if (what === "dropped") external.destroy(makeExpectation(port));
        else if (what === "invented") external.learn(makeExpectation(port, { class: 2 }), true, b.nowMs, PEER);
        else talk(a, b, 100);
      }
      const sinceMs = a.nowMs;
      seconds(a, b, 20);
      expect(held(b)).toEqual(held(a, "internal"));
      expect(a.replica.proof(PEER).equalMs).toBeGreaterThan(sinceMs);
      expect(a.replica.proof(PEER).expectations).toBe(a.replica.expectations.internal.count);
    }),
    { numRuns: 100 },
  );
});
