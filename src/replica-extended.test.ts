/** What two ctsync nodes on a sealed channel tell each other of themselves. */
import { describe, expect, test } from "bun:test";
import { makeFlow } from "../test/make-flow.ts";
import { type Bytes, viewOf } from "../test/outbound.ts";
import { extendedPair, Node, PEER, pair, talk } from "../test/replica-node.ts";
import { portsWord } from "./flow/flow.ts";
import { EVENT_NEW } from "./replica.ts";
import { CLAIM_BYTES, claimOf } from "./wire/claim.ts";
import { CAPABILITY_DIGESTS, CAPABILITY_OWNERSHIP, EXT, ExtensionMessage, encodeExtension } from "./wire/extension.ts";
import { frameLength, headerType } from "./wire/header.ts";

const numbered = (i: number) => makeFlow({ ports: portsWord(1_000 + i, 443) });
const sessionOf = (node: Node) => node.replica.sessions[PEER];

function typesIn(datagrams: readonly Bytes[]): number[] {
  const types: number[] = [];
  for (const datagram of datagrams) {
    const view = viewOf(datagram);
    for (let at = 0; at < datagram.length; at += frameLength(view, at, datagram.length))
      types.push(headerType(view, at));
  }
  return types;
}

/** Where the first extension message of a datagram begins. */
function extensionIn(datagram: Bytes): number {
  const view = viewOf(datagram);
  let at = 0;
  while (headerType(view, at) !== EXT) at += frameLength(view, at, datagram.length);
  return at;
}

describe("towards an extended peer", () => {
  test("both nodes know the other's capabilities, epoch and role", () => {
    const [a, b] = extendedPair();
    a.replica.role = "master";
    talk(a, b, 10);
    expect(sessionOf(a).extended).toBe(true);
    expect(sessionOf(a).peerEpoch).toEqual({ high: 1, low: 22 });
    expect(sessionOf(b).peerEpoch).toEqual({ high: 1, low: 11 });
    expect(sessionOf(b).peerCapabilities).toBe(CAPABILITY_DIGESTS | CAPABILITY_OWNERSHIP);
    expect([sessionOf(a).peerRole, sessionOf(b).peerRole]).toEqual(["unknown", "master"]);
  });

  test("what a node is said to be is heard anew when it changes, without waiting for the next second", () => {
    const [a, b] = extendedPair();
    for (const role of ["master", "fault", "stop", "backup"] as const) {
      a.replica.role = role;
      talk(a, b, 1);
      expect(sessionOf(b).peerRole).toBe(role);
    }
  });

  test("a node repeats itself until the peer has named its epoch, then once a second", () => {
    const a = new Node(1_000, 16, 11);
    const b = new Node(5_000, 16, 22);
    talk(a, b, 1_000);
    const lost = () => typesIn(a.says(200)).filter((type) => type === EXT).length;
    const [c, d] = extendedPair();
    expect([1, 2, 3].map(lost).some((count) => count > 0)).toBe(true);
    const told = Array.from({ length: 30 }, () => {
      const said = c.says(100);
      d.hears(...said);
      c.hears(...d.says(100));
      return typesIn(said).filter((type) => type === EXT).length;
    });
    expect(told.reduce((sum, count) => sum + count, 0)).toBeLessThan(2 * 4 * 2);
  });

  test("a bulk is told from begin to end, and the receiver knows when it has all", () => {
    const [a, b] = extendedPair(64);
    for (let i = 0; i < 40; i++) a.event(EVENT_NEW, numbered(i));
    talk(a, b, 10);
    sessionOf(a).bulk();
    b.hears(...a.says(1).slice(0, 1));
    expect(sessionOf(b).bulkProgress).toMatchObject({ total: 40, sending: true, arrived: false });
    sessionOf(a).bulk();
    talk(a, b, 1_100);
    talk(a, b, 1_100);
    expect(sessionOf(b).bulkProgress).toEqual({ sent: 40, total: 40, sending: false, arrived: true });
  });

  test("a life that greets under numbers of the last one is known by its epoch", () => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, numbered(1));
    talk(a, b, 10);
    const reborn = new Node(1_000, 16, 33); // The clock was set back: the very numbers of its last greetings.
    reborn.nowMs = a.nowMs;
    talk(reborn, b, 1_000);
    talk(reborn, b, 1_000);
    expect(sessionOf(b).peerEpoch).toEqual({ high: 1, low: 33 });
    expect(sessionOf(b).counters.peerRestarts).toBe(1);
    expect(sessionOf(reborn).peerState(reborn.nowMs)).toBe("connected");
  });

  test("what a dead life told is withdrawn after a while, unless the new one tells it again", () => {
    const [a, b] = extendedPair();
    for (let i = 0; i < 6; i++) a.event(EVENT_NEW, numbered(i));
    talk(a, b, 10);
    const reborn = new Node(900_000, 16, 33);
    reborn.nowMs = a.nowMs;
    for (let i = 0; i < 2; i++) reborn.event(EVENT_NEW, numbered(i));
    for (let i = 0; i < 50; i++) talk(reborn, b, 1_000);
    // Until then they are kept, though no comparison finds them: they may be what is left of a firewall that has just booted.
    expect(b.externalKeys()).toHaveLength(6);
    expect(b.replica.held(PEER)).toMatchObject({ flows: 2, differing: 0 });
    for (let i = 0; i < 20; i++) talk(reborn, b, 1_000);
    expect(b.externalKeys()).toHaveLength(2);
    expect(b.replica.counters.cache.externalStale).toBe(4);
    expect(b.replica.counters.proof.withdrawn).toBe(0);
  });

  test("a message of a life that has ended changes nothing", () => {
    const [a, b] = extendedPair();
    a.replica.role = "master";
    const old = a.says(10);
    const reborn = new Node(900_000, 16, 33);
    reborn.nowMs = a.nowMs;
    for (let i = 0; i < 3; i++) talk(reborn, b, 1_000);
    const { late } = b.replica.counters.wire;
    b.hears(...old);
    expect(sessionOf(b).peerEpoch).toEqual({ high: 1, low: 33 });
    expect(sessionOf(b).peerRole).toBe("unknown");
    expect(b.replica.counters.wire.late).toBeGreaterThan(late);
  });

  test("a message of a kind that a later version knows is counted and passed over", () => {
    const [a, b] = extendedPair();
    const datagram = a.says(1_000)[0];
    viewOf(datagram).setUint8(extensionIn(datagram) + 8, 99);
    b.hears(datagram);
    expect(b.replica.counters.wire.extensionsUnknown).toBe(1);
    talk(a, b, 1_000);
    expect(sessionOf(b).counters.lost).toBe(0);
  });

  test("a flow with a claim that no clock can pass is refused, and its number used up", () => {
    const [a, b] = extendedPair();
    a.event(EVENT_NEW, numbered(1));
    const [datagram] = a.says(1);
    const claimAt = datagram.length - CLAIM_BYTES + 4;
    expect(claimOf(viewOf(datagram), 0, datagram.length)).toBe(3);
    viewOf(datagram).setUint32(claimAt, 2 ** 21);
    b.hears(datagram);
    expect([b.replica.counters.wire.badPayload, b.externalKeys()]).toEqual([1, []]);
    expect(b.replica.ownership.clock).toBe(3);
    talk(a, b, 1_000);
    expect(sessionOf(b).counters.lost).toBe(0);
  });

  test("a message that lies about its length is refused, and its number used up", () => {
    const [a, b] = extendedPair();
    const datagram = a.says(1_000)[0];
    viewOf(datagram).setUint8(extensionIn(datagram) + 9, 0); // STATE of version 0.
    b.hears(datagram);
    expect(b.replica.counters.wire.badPayload).toBe(1);
    talk(a, b, 1_000);
    expect(sessionOf(b).counters.lost).toBe(0);
  });
});

describe("the time of the next look", () => {
  test.each([0, 500, 5_000, 60_000])(
    "lies ahead once all was said, also %d ms after the peer was heard last",
    (silentMs) => {
      const [a] = extendedPair();
      for (let nowMs = 0; nowMs <= silentMs; nowMs += 500) a.says(500);
      expect(a.replica.nextDueMs(a.nowMs)).toBeGreaterThan(a.nowMs);
    },
  );

  test("lies ahead while the window is full", () => {
    const [a] = extendedPair(512);
    for (let i = 0; i < 200; i++) a.event(EVENT_NEW, numbered(i));
    for (let i = 0; i < 4; i++) a.says(300);
    expect(sessionOf(a).queued).toBeGreaterThan(0);
    expect(a.replica.nextDueMs(a.nowMs)).toBeGreaterThan(a.nowMs);
  });

  test("a proof of a life that has ended counts no more", () => {
    const [a, b] = extendedPair();
    talk(a, b, 1_100);
    expect(a.replica.proof(PEER).equalMs).toBeGreaterThan(0);
    expect(a.replica.held(PEER).equalMs).toBeGreaterThan(0);
    const reborn = new Node(900_000, 16, 33);
    reborn.nowMs = b.nowMs;
    a.hears(...reborn.says(1_000));
    expect(a.replica.proof(PEER).equalMs).toBe(Number.NEGATIVE_INFINITY);
    expect(a.replica.held(PEER).equalMs).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe("towards conntrackd", () => {
  test("no extension message is sent, and one that comes is refused as a bad header", () => {
    const [a, b] = pair();
    a.replica.role = "master";
    a.event(EVENT_NEW, numbered(1));
    sessionOf(a).bulk();
    const types = [...typesIn(a.says(1_000)), ...typesIn(a.says(5_000))];
    expect(types).not.toContain(EXT);
    expect([sessionOf(a).extended, sessionOf(a).peerCapabilities, sessionOf(a).peerEpoch]).toEqual([false, 0, null]);
    const message = new ExtensionMessage();
    message.begin(1, 1);
    message.words[1] = 1;
    const bytes = new Uint8Array(512);
    const length = encodeExtension(message, viewOf(bytes), 0, 0, 5_000_000);
    b.hears(bytes.slice(0, length));
    expect(b.replica.counters.wire.badHeader).toBe(1);
  });
});
