/** Two primaries at once, of which one steps down: what the one that stays is to take on. */
import { describe, expect, test } from "bun:test";
import { makeFlow } from "../test/make-flow.ts";
import { extendedPair, type Node, talk } from "../test/replica-node.ts";
import { portsWord } from "./flow/flow.ts";
import { IPS_ASSURED } from "./flow/status.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "./replica.ts";
import { CLAIM_MAX } from "./wire/claim.ts";

const numbered = (i: number, status = 0) => makeFlow({ ports: portsWord(1_000 + i, 443), status });
const moves = (node: Node, ...flows: number[]): void => {
  for (const i of flows) node.event(EVENT_UPDATE, numbered(i, IPS_ASSURED));
};
const begins = (node: Node, ...flows: number[]): void => {
  for (const i of flows) node.event(EVENT_NEW, numbered(i));
};
const ends = (node: Node, ...flows: number[]): void => {
  for (const i of flows) node.event(EVENT_DESTROY, numbered(i));
};
const meet = (a: Node, b: Node): void => {
  for (let i = 0; i < 3; i++) talk(a, b, 1_000);
};

/** `node` is told master: it commits all that the peer told, and reads its kernel. */
function takesOver({ replica, nowMs }: Node, ...committed: number[]): void {
  replica.role = "master";
  replica.flushExternal();
  for (const i of committed) replica.kernelEntry(numbered(i), nowMs, true);
}

/** Which of the flows the node is to take on, now that the peer has stepped down. */
function toTakeOn({ replica }: Node): number[] {
  const found: number[] = [];
  for (let i = 0; i < 16; i++) {
    const known = replica.external.find(numbered(i));
    if (known >= 0 && replica.ownership.isToTakeOn(known, numbered(i))) found.push(i);
  }
  return found;
}

function acquainted(): [Node, Node] {
  const nodes = extendedPair();
  for (const { replica } of nodes) replica.ownership.inContact(true);
  return nodes;
}

/** A is primary and has flows 1 to 4; B has taken over from it, which lives. */
function split(): [Node, Node] {
  const [a, b] = acquainted();
  a.replica.role = "master";
  begins(a, 1, 2, 3, 4);
  meet(a, b);
  takesOver(b, 1, 2, 3, 4);
  meet(a, b);
  return [a, b];
}

function stepsDown(from: Node, other: Node): void {
  from.replica.role = "backup";
  meet(from, other);
}

describe("of two primaries the one that stays takes on", () => {
  test("what moved at the one that steps down, not what only stood there", () => {
    const [a, b] = split();
    moves(b, 1);
    begins(b, 5);
    meet(a, b);
    expect(a.replica.ownership.wantsTakingOn).toBe(false);
    stepsDown(b, a);
    expect(a.replica.ownership.wantsTakingOn).toBe(true);
    expect(b.replica.ownership.wantsTakingOn).toBe(false);
    expect(toTakeOn(a)).toEqual([1, 5]);
  });

  test("the same if the one that took over stays", () => {
    const [a, b] = split();
    moves(a, 1);
    begins(a, 5);
    moves(b, 2);
    stepsDown(a, b);
    expect(b.replica.ownership.wantsTakingOn).toBe(true);
    expect(toTakeOn(b)).toEqual([1, 5]);
  });

  test("nothing that ended there meanwhile, or moved here later", () => {
    const [a, b] = split();
    moves(b, 1, 2, 3);
    meet(a, b);
    ends(b, 1);
    moves(a, 2);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([3]);
  });

  test("nothing that ended here, though it stands there, and is read there, and is announced again", () => {
    const [a, b] = split();
    moves(b, 1);
    meet(a, b);
    moves(a, 1, 2); // A FIN is seen before the end is.
    ends(a, 1, 2);
    meet(a, b);
    for (const i of [1, 2, 3, 4]) b.replica.kernelEntry(numbered(i), b.nowMs);
    stepsDown(b, a);
    expect([1, 2].map((i) => a.replica.external.find(numbered(i)) >= 0)).toEqual([true, true]);
    expect(toTakeOn(a)).toEqual([]);
  });

  test("what goes on there after it ended here", () => {
    const [a, b] = split();
    moves(a, 1);
    ends(a, 1);
    meet(a, b);
    b.replica.kernelEntry(numbered(1), b.nowMs);
    moves(b, 1);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([1]);
  });

  test("what moved there, though its entry, which nobody used, ran out here", () => {
    const [a, b] = split();
    moves(b, 1);
    meet(a, b);
    ends(a, 1);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([1]);
  });

  test("nothing that was seen here while neither heard the other", () => {
    const [a, b] = split();
    moves(b, 1, 2, 3);
    moves(a, 1, 2);
    ends(a, 1);
    for (const node of [a, b]) node.says(10_000); // All of it is lost.
    b.replica.role = "backup";
    for (const { replica } of [a, b]) replica.ownership.inContact(false);
    meet(a, b);
    for (const { replica } of [a, b]) replica.ownership.inContact(true);
    b.replica.sessions[0]?.bulk(); // What it has claimed before they met it says again.
    meet(a, b);
    expect(toTakeOn(a)).toEqual([3]);
  });

  test("what moved there unheard, when the roles changed and changed back while neither heard the other", () => {
    const [a, b] = acquainted();
    a.replica.role = "master";
    begins(a, 1, 2);
    meet(a, b);
    takesOver(b, 1, 2);
    moves(b, 1);
    begins(b, 3);
    b.replica.role = "backup";
    a.replica.ownership.inContact(false);
    meet(a, b);
    expect(a.replica.ownership.wantsTakingOn).toBe(true);
    expect(toTakeOn(a)).toEqual([1, 3]);
  });

  test("what goes on there without an event, as its timer shows", () => {
    const [a, b] = split();
    const { internal, ownership } = b.replica;
    ownership.renewed(internal.find(numbered(1)));
    ends(a, 1);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([1]);
    const [only, other] = split();
    only.replica.role = "backup"; // One is primary alone: it makes no difference, and no message.
    meet(only, other);
    const { flowsSent } = other.replica.counters.wire;
    other.replica.ownership.renewed(other.replica.internal.find(numbered(1)));
    meet(only, other);
    expect(other.replica.counters.wire.flowsSent).toBe(flowsSent);
  });

  test("nothing that was seen here, or ended, while the other one took over unheard", () => {
    const [a, b] = acquainted();
    a.replica.role = "master";
    begins(a, 1, 2, 3);
    meet(a, b);
    for (const { replica } of [a, b]) replica.ownership.inContact(false);
    takesOver(b, 1, 2, 3);
    moves(b, 1, 2, 3);
    moves(a, 1, 2);
    ends(a, 1);
    for (const node of [a, b]) node.says(10_000); // All of it is lost.
    b.replica.role = "backup";
    a.nowMs += 100;
    for (const ms of [10, 400, 200, 300]) {
      talk(a, b, ms);
      for (const { replica } of [a, b]) replica.ownership.inContact(ms < 400 || a.replica.ownership.wantsTakingOn);
      b.replica.sessions[0]?.bulk();
    }
    meet(a, b);
    expect(toTakeOn(a)).toEqual([3]);
  });

  test("what had moved there when the one that stays took over without knowing of it", () => {
    const [a, b] = acquainted();
    a.replica.role = "master";
    begins(a, 1, 2);
    meet(a, b);
    for (const { replica } of [a, b]) replica.ownership.inContact(false);
    moves(a, 1);
    b.replica.role = "master";
    b.replica.flushExternal();
    for (const i of [1, 2]) b.replica.kernelEntry(numbered(i), b.nowMs, true);
    meet(b, a);
    stepsDown(a, b);
    expect(toTakeOn(b)).toEqual([1]);
  });

  test("what goes on there after it ended here, of which the end alone was told", () => {
    const [a, b] = split();
    moves(b, 1, 2);
    meet(a, b);
    moves(a, 1, 2);
    ends(a, 1, 2);
    meet(a, b);
    moves(b, 1);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([1]);
  });

  test("what began or moved there, of which no event told, but a dump", () => {
    const [a, b] = split();
    b.replica.kernelRead(b.replica.ownership.reading);
    b.replica.kernelEntry(numbered(5), b.nowMs);
    moves(a, 1, 2);
    meet(a, b);
    for (const i of [1, 2]) b.replica.kernelEntry(numbered(i), b.nowMs);
    b.replica.kernelEntry(numbered(2, IPS_ASSURED), b.nowMs);
    stepsDown(b, a);
    expect(toTakeOn(a)).toEqual([2, 5]);
  });

  test("what it put into its kernel itself, which does not make it its own if nobody says so", () => {
    const [a, b] = split();
    a.replica.kernelRead(a.replica.ownership.reading);
    begins(b, 5, 6);
    stepsDown(b, a);
    a.replica.ownership.puts(a.replica.external.find(numbered(5)));
    expect([5, 6].map((i) => a.replica.kernelEntry(numbered(i), a.nowMs))).toEqual(["peers", "created"]);
  });

  test("it once: it is its own then, and its reign the later one", () => {
    const [a, b] = split();
    moves(b, 1);
    begins(b, 5);
    stepsDown(b, a);
    const { replica } = a;
    replica.ownership.wantsTakingOn = false;
    for (const i of toTakeOn(a)) {
      const known = replica.external.find(numbered(i));
      replica.kernelEntry(numbered(i), a.nowMs, true);
      replica.ownership.takenOn(known, replica.internal.find(numbered(i)));
    }
    meet(a, b);
    replica.ownership.tookOn();
    expect([replica.ownership.wantsReading, replica.ownership.wantsClaims]).toEqual([true, true]);
    for (const i of [1, 2, 3, 4, 5]) replica.kernelEntry(numbered(i), a.nowMs, true);
    meet(a, b);
    expect([replica.internal.count, replica.external.count, b.replica.internal.count]).toEqual([5, 0, 0]);
    expect(replica.ownership.wantsTakingOn).toBe(false);
    expect(replica.ownership.reigning.number).toBeGreaterThan(b.replica.ownership.reigning.number);
  });
});

test("a backup that was never primary leaves the primary nothing to take on", () => {
  const [a, b] = extendedPair();
  a.replica.role = "master";
  b.replica.role = "backup";
  begins(b, 1);
  meet(a, b);
  expect(a.replica.ownership.wantsTakingOn).toBe(false);
});

test("what moves at a node whose daemon, and clock, began anew is its own, whatever a backup claimed before it heard of that", () => {
  for (const role of ["backup", "master"] as const) {
    const [a, b] = acquainted();
    b.replica.ownership.heardClock(0, 50, 0, "unknown");
    begins(a, 1);
    begins(b, 1);
    b.replica.role = role;
    meet(a, b);
    expect([a, b].map(({ replica }) => replica.internal.count)).toEqual(role === "backup" ? [1, 0] : [0, 1]);
    moves(b, 1); // It knows of the other one's claim now.
    meet(a, b);
    expect([a, b].map(({ replica }) => replica.internal.count)).toEqual([0, 1]);
  }
});

test("a claim as high as there is leaves no reign after it, and is answered by claims that can be told", () => {
  const [a, b] = acquainted();
  b.replica.ownership.heardClock(0, CLAIM_MAX, 1, "backup");
  b.replica.role = "master";
  for (const claims of [true, false]) {
    b.replica.kernelEntry(numbered(1), b.nowMs, claims);
    expect(b.replica.ownership.claimOn(b.replica.internal.find(numbered(1)))).toBeLessThanOrEqual(CLAIM_MAX);
    moves(b, 1);
  }
  meet(a, b);
  expect([a.replica.external.count, a.replica.counters.wire.badPayload]).toEqual([1, 0]);
});
