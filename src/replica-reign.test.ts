/** Two primaries at once, of which one has its daemon started anew before the other one hears of it. */
import { describe, expect, test } from "bun:test";
import { makeFlow } from "../test/make-flow.ts";
import { Node, talk } from "../test/replica-node.ts";
import { portsWord } from "./flow/flow.ts";
import { IPS_ASSURED } from "./flow/status.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "./replica.ts";

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
  for (let i = 0; i < 4; i++) talk(a, b, 1_000);
};
const inContact = (is: boolean, ...nodes: Node[]): void => {
  for (const { replica } of nodes) replica.ownership.inContact(is);
};
/** All that they say is lost. */
const unheard = (...nodes: Node[]): void => {
  for (const node of nodes) node.says(10_000);
};

function takesOver({ replica, nowMs }: Node, ...committed: number[]): void {
  replica.role = "master";
  replica.flushExternal();
  for (const i of committed) replica.kernelEntry(numbered(i), nowMs, true);
}

/** A is primary and has flows 1 to 4; B takes over, and A hears of it unless the link is cut. */
function split(isCut: boolean): [Node, Node] {
  const [a, b] = [new Node(1_000, 16, 11), new Node(5_000, 16, 22)];
  meet(a, b);
  inContact(true, a, b);
  a.replica.role = "master";
  begins(a, 1, 2, 3, 4);
  meet(a, b);
  inContact(!isCut, a, b);
  takesOver(b, 1, 2, 3, 4);
  if (!isCut) meet(a, b);
  return [a, b];
}

/** Its daemon is killed and starts anew; what stands in its kernel is read, before anything is heard. */
function restarted({ replica, nowMs }: Node, epoch: number, moved: readonly number[], still: readonly number[]): Node {
  const { kept } = replica.ownership.reigning;
  const next = new Node(9_000 + epoch, 16, epoch);
  next.nowMs = nowMs;
  next.replica.role = "master";
  if (kept !== null) next.replica.ownership.resume(kept);
  for (const i of moved) next.replica.kernelEntry(numbered(i, IPS_ASSURED), nowMs);
  for (const i of still) next.replica.kernelEntry(numbered(i), nowMs);
  return next;
}

function toTakeOn({ replica }: Node): number[] {
  const found: number[] = [];
  for (let i = 0; i < 16; i++) {
    const known = replica.external.find(numbered(i));
    if (known >= 0 && replica.ownership.isToTakeOn(known, numbered(i))) found.push(i);
  }
  return found;
}

/** They hear each other again, and then the one steps down. */
function heals(from: Node, other: Node): void {
  inContact(false, from, other);
  meet(from, other);
  inContact(true, from, other);
  from.replica.role = "backup";
  meet(from, other);
}

describe("of two primaries the one that stays takes on", () => {
  test("what moved at the one whose daemon was started anew, and nothing that only stood there", () => {
    const [a, b] = split(false);
    moves(b, 1);
    begins(b, 5);
    meet(a, b);
    const next = restarted(b, 33, [1], [2, 3, 4, 5]);
    heals(next, a);
    expect(a.replica.ownership.wantsTakingOn).toBe(true);
    expect(toTakeOn(a)).toEqual([1, 5]);
  });

  test("the same though neither heard the other, and nothing that moved or ended at the one that stays", () => {
    const [a, b] = split(true);
    moves(b, 1);
    begins(b, 5);
    moves(a, 2, 3);
    ends(a, 3);
    unheard(a, b);
    const next = restarted(b, 33, [1], [2, 3, 4, 5]);
    moves(next, 6);
    unheard(a, next);
    heals(next, a);
    expect(a.replica.ownership.wantsTakingOn).toBe(true);
    // Whether 4 has moved there nobody knows: it stands here as it does there.
    expect(toTakeOn(a)).toEqual([1, 4, 5, 6]);
  });

  test("nothing from before it took over, though its own daemon was started anew", () => {
    for (const isCut of [false, true]) {
      const [a, b] = split(isCut);
      moves(b, 1);
      begins(b, 5);
      ends(b, 2);
      if (isCut) unheard(a, b);
      else meet(a, b);
      const next = restarted(b, 33, [1], [3, 4, 5]);
      heals(a, next);
      expect(next.replica.ownership.wantsTakingOn).toBe(true);
      expect(toTakeOn(next)).toEqual([]);
      expect(next.replica.internal.count).toBe(4);
    }
  });

  test("what moved or began at the other one meanwhile", () => {
    const [a, b] = split(true);
    ends(b, 2);
    a.replica.ownership.inContact(false);
    const next = restarted(b, 33, [], [1, 3, 4]);
    meet(a, next);
    inContact(true, a, next);
    moves(a, 3);
    begins(a, 6);
    meet(a, next);
    a.replica.role = "backup";
    meet(a, next);
    expect(toTakeOn(next)).toEqual([3, 6]);
  });
});

test("each life of a daemon claims higher than those before it", () => {
  const [, b] = split(true);
  const clocks = [b.replica.ownership.clock];
  let node = b;
  for (const epoch of [33, 44, 55]) {
    node = restarted(node, epoch, [], [1]);
    expect(node.replica.ownership.reigning.number).toBe(b.replica.ownership.reigning.number);
    clocks.push(node.replica.ownership.clock);
  }
  expect(clocks).toEqual(clocks.toSorted((x, y) => x - y));
  expect(new Set(clocks).size).toBe(clocks.length);
});

test("a reign that begins later is no resumed one", () => {
  const [, b] = split(true);
  const next = restarted(b, 33, [], [1]);
  next.replica.role = "backup";
  next.replica.role = "master";
  expect(next.replica.ownership.reigning.number).toBeGreaterThan(b.replica.ownership.reigning.number);
  expect(next.replica.ownership.reigning.kept?.lives).toBe(0);
});
