/** A sender that is faster than its receiver, and caches that are too small: nothing is lost in silence. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeFlow } from "../test/make-flow.ts";
import type { Bytes } from "../test/outbound.ts";
import { Node, PEER, talk } from "../test/replica-node.ts";
import { portsWord } from "./flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW } from "./replica.ts";

const FLOWS_MAX = 200;
const numbered = (i: number) => makeFlow({ ports: portsWord(1_000 + i, 443) });
const sessionOf = (node: Node) => node.replica.sessions[PEER];

function greet(a: Node, b: Node): [Node, Node] {
  for (let i = 0; i < 4; i++) talk(a, b, 1_000);
  return [a, b];
}
const sealed = (flowsA: number, flowsB: number) => greet(new Node(1_000, flowsA, 11), new Node(5_000, flowsB, 22));
const open = (flowsA: number, flowsB: number) => greet(new Node(1_000, flowsA), new Node(5_000, flowsB));

function begin(node: Node, from: number, to: number): void {
  for (let i = from; i < to; i++) node.event(EVENT_NEW, numbered(i));
}
function end(node: Node, from: number, to: number): void {
  for (let i = from; i < to; i++) node.event(EVENT_DESTROY, numbered(i));
}
function talkFor(a: Node, b: Node, seconds: number): void {
  for (let i = 0; i < seconds * 4; i++) talk(a, b, 250);
}

describe("a bulk to a slow receiver", () => {
  const sizes = fc.record({
    resendQueue: fc.integer({ min: 16, max: 128 }), // The least that the configuration allows.
    inFlightMax: fc.integer({ min: 1, max: 256 }),
    ackWindow: fc.integer({ min: 2, max: 300 }),
    datagrams: fc.integer({ min: 1, max: 4 }),
    isSealed: fc.boolean(),
  });

  // An ack_window of 1 is left out: each acknowledgement is then acknowledged, more than so slow a receiver ever takes.
  test("arrives as a whole, with no more on its way than may be, whatever the sizes", () => {
    fc.assert(
      fc.property(sizes, ({ datagrams, isSealed, ...limits }) => {
        const [a, b] = [
          new Node(1_000, FLOWS_MAX, isSealed ? 11 : undefined, limits),
          new Node(5_000, FLOWS_MAX, isSealed ? 22 : undefined, limits),
        ];
        greet(a, b);
        begin(a, 0, FLOWS_MAX);
        sessionOf(a).bulk();
        // What the receiver has not taken yet waits in its socket: it may be slow, and nothing there is lost.
        const socket: Bytes[] = [];
        let taken = 0;
        for (let step = 0; step < 6_000 && !(sessionOf(a).bulkDone && b.replica.external.count === FLOWS_MAX); step++) {
          const before = a.replica.counters.wire.flowsSent;
          socket.push(...a.says(50));
          taken += b.replica.counters.wire.flowsReceived;
          const { resent } = sessionOf(a).counters; // What a control message pushed out of the ring is on its way no more.
          expect(a.replica.counters.wire.flowsSent - before).toBeLessThanOrEqual(limits.inFlightMax + (resent ?? 0));
          b.hears(...socket.splice(0, datagrams));
          a.hears(...b.says(50));
        }
        expect(taken).toBeGreaterThan(0);
        expect([b.replica.external.count, sessionOf(a).dirty, sessionOf(b).dirty]).toEqual([FLOWS_MAX, null, null]);
      }),
      { numRuns: 25 },
    );
  });
});

describe("an external cache that is full", () => {
  test("is known to both ctsync nodes, and filled by itself once there is room", () => {
    const [a, b] = sealed(32, 8);
    begin(a, 0, 12);
    talkFor(a, b, 3);
    expect(b.replica.external.count).toBe(8);
    expect([sessionOf(a).dirty, sessionOf(b).dirty]).toEqual(["peer-full", "external-full"]);
    expect(a.replica.proof(PEER).differing).toBeGreaterThan(0);
    end(a, 0, 6);
    talkFor(a, b, 20);
    expect(b.externalKeys()).toHaveLength(6);
    expect([sessionOf(a).dirty, sessionOf(b).dirty]).toEqual([null, null]);
    expect(a.replica.proof(PEER)).toMatchObject({ flows: 6, differing: 0 });
  });

  test("asks a peer on an open channel for everything once there is room", () => {
    const [a, b] = open(32, 8);
    begin(a, 0, 12);
    talkFor(a, b, 3);
    expect([sessionOf(a).dirty, sessionOf(b).dirty]).toEqual([null, "external-full"]);
    end(a, 0, 6);
    talkFor(a, b, 10);
    expect(b.externalKeys()).toHaveLength(6);
    expect(sessionOf(b).dirty).toBe(null);
  });
});

describe("an internal cache that is full", () => {
  test("leaves the peer dirty until the kernel's table was read and found room", () => {
    const [a, b] = sealed(8, 32);
    begin(a, 0, 9);
    talkFor(a, b, 2);
    expect(sessionOf(a).dirty).toBe("internal-full");
    end(a, 0, 4);
    talkFor(a, b, 2);
    expect(sessionOf(a).dirty).toBe("internal-full");
    expect(a.replica.kernelEntry(numbered(8), a.nowMs)).toBe("created");
    a.replica.kernelRead(a.replica.ownership.reading);
    expect(sessionOf(a).dirty).toBe(null);
  });
});

describe("ends that were forgotten while the peer was away", () => {
  test("are made up for by an extended peer, which withdraws those flows", () => {
    const [a, b] = sealed(8, 64);
    begin(a, 0, 8);
    talkFor(a, b, 2);
    end(a, 0, 8);
    begin(a, 100, 108); // No room but that of the dead, of which the peer has not heard.
    expect(a.replica.counters.cache.destroysForgotten).toBe(8);
    expect(sessionOf(a).dirty).toBe("destroys-forgotten");
    talkFor(a, b, 10);
    expect(b.externalKeys()).toHaveLength(8);
    expect(b.replica.counters.proof.withdrawn).toBe(8);
    expect(sessionOf(a).dirty).toBe(null);
  });

  test("leave another peer dirty until it begins a new life", () => {
    const [a, b] = open(8, 64);
    begin(a, 0, 8);
    talkFor(a, b, 2);
    end(a, 0, 8);
    begin(a, 100, 108);
    talkFor(a, b, 60);
    expect(sessionOf(a).dirty).toBe("destroys-forgotten");
    const reborn = new Node(90_000, 64);
    reborn.nowMs = b.nowMs;
    talkFor(a, reborn, 4);
    expect(sessionOf(a).dirty).toBe(null);
    expect(reborn.externalKeys()).toHaveLength(8);
  });
});

describe("control messages without room in their queue", () => {
  test.each([
    ["an extended peer", true],
    ["another peer", false],
  ])("make %s dirty until everything was compared, or asked and sent anew", (_, isSealed) => {
    const make = (firstSeq: number, epoch: number) =>
      new Node(firstSeq, 16, isSealed ? epoch : undefined, { resendQueue: 2 });
    const [a, b] = greet(make(1_000, 11), make(5_000, 22));
    begin(a, 0, 4);
    talkFor(a, b, 2);
    for (let i = 0; i < 8; i++) sessionOf(a).request();
    talk(a, b, 1);
    expect(sessionOf(a).counters.controlDropped).toBeGreaterThan(0);
    expect(sessionOf(a).dirty).toBe("control-dropped");
    talkFor(a, b, 20);
    expect([sessionOf(a).dirty, sessionOf(b).dirty]).toEqual([null, null]);
    expect(b.externalKeys()).toHaveLength(4);
  });
});
