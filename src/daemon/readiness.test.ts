import { expect, test } from "bun:test";
import { Dirt, type DirtyReason } from "../sync/dirt.ts";
import type { Proof } from "../sync/proof.ts";
import type { PeerState } from "../sync/session.ts";
import type { Node } from "./node.ts";
import { readiness } from "./readiness.ts";
import { Refusals } from "./refusals.ts";

const NOW_MS = 100_000;

/** A backup that has all, and what is otherwise. */
function node(
  other: {
    role?: string;
    suspect?: boolean;
    peer?: PeerState;
    held?: Partial<Proof>;
    sealed?: boolean;
    refused?: Readonly<Record<string, number>>;
    badVersion?: number;
    dirty?: DirtyReason;
    asideUntilMs?: number;
    peerRole?: string;
    isCurrent?: boolean;
    rehearsed?: boolean;
  } = {},
): Node {
  const held = {
    supported: true,
    equalMs: NOW_MS - 1_000,
    flows: 5,
    expectations: 0,
    differing: 0,
    leftovers: 0,
    ...other.held,
  };
  const link = {
    peer: "10.0.9.2",
    sealed: other.sealed ?? true,
    counters: other.refused ?? {},
    refusals: new Refusals(),
  };
  const dirt = new Dirt();
  if (other.dirty !== undefined) dirt.mark(other.dirty, 0);
  const peerRole = other.peerRole ?? "unknown";
  const session = { dirt, requestDone: true, peerState: () => other.peer ?? "connected", peerRole };
  const counters = { wire: { badVersion: other.badVersion ?? 0 } };
  return {
    state: {
      started: true,
      rehearsed: other.rehearsed ?? true,
      role: other.role ?? "backup",
      suspect: other.suspect ?? false,
      asideUntilMs: other.asideUntilMs,
    },
    replica: { external: { count: 5 }, sessions: [session], held: () => held, counters },
    config: { sync: { flowsMax: 16 } },
    links: [link],
    apply: other.isCurrent === undefined ? undefined : { isCurrent: () => other.isCurrent },
    startedMs: 0,
  } as unknown as Node;
}

test("a peer that can prove it must have been found equal, lately or at the last comparison", () => {
  expect(readiness(node(), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: { equalMs: Number.NEGATIVE_INFINITY } }), NOW_MS)).toEqual({
    ready: false,
    aside: false,
    reason: "the peer 10.0.9.2 and this node have not compared their caches yet",
  });
  const differing = { equalMs: NOW_MS - 60_000, differing: 3 };
  expect(readiness(node({ held: differing }), NOW_MS)).toEqual({
    ready: false,
    aside: false,
    reason: "the external cache differs from what the peer 10.0.9.2 has (3 parts of it)",
  });
  expect(readiness(node({ held: { ...differing, differing: 0 } }), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: { ...differing, supported: false } }), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: differing, peer: "silent" }), NOW_MS).ready).toBeTrue();
});

test("a backup whose kernel follows its peer is ready once it has caught up", () => {
  expect(readiness(node({ isCurrent: true }), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ isCurrent: false }), NOW_MS)).toEqual({
    ready: false,
    aside: false,
    reason: "flows of the peer are still being put into the kernel",
  });
});

test("a backup whose events were lost is not ready, a primary stays what it is", () => {
  expect(readiness(node({ suspect: true }), NOW_MS)).toEqual({
    ready: false,
    aside: false,
    reason: "the kernel dropped events, and its table is being read again",
  });
  expect(readiness(node({ suspect: true, role: "master" }), NOW_MS).ready).toBeTrue();
});

test("of two primaries both are ready, whatever each lacks of the other one: a script that fails on both would leave nobody", () => {
  const lacks = { differing: 3, equalMs: NOW_MS - 60_000 };
  const both = { role: "master", peerRole: "master", held: lacks, dirty: "external-full", isCurrent: false } as const;
  expect(readiness(node(both), NOW_MS)).toMatchObject({ ready: true, aside: false });
});

test("a backup that dropped something of the peer's is not ready until that is mended", () => {
  expect(readiness(node({ dirty: "external-full" }), NOW_MS)).toEqual({
    ready: false,
    aside: false,
    reason: "of the peer 10.0.9.2: flows of the peer found no room here (sync.flows_max)",
  });
  expect(readiness(node({ dirty: "peer-full" }), NOW_MS).ready).toBeTrue();
});

test("what a former life of the peer told is named", () => {
  const { ready, reason } = readiness(node({ held: { leftovers: 7 } }), NOW_MS);
  expect(ready).toBeTrue();
  expect(reason).toEndWith(", and 7 flows that it told before it started anew, for a while");
});

test("a peer whose datagrams are refused is not gone, as long as they come", () => {
  const refusing = node({ peer: "silent", refused: { wrongKey: 3 } });
  const not = {
    ready: false,
    aside: false,
    reason:
      "datagrams of the peer 10.0.9.2 come and are refused: they are sealed with a key that is not in the key file here",
  };
  expect(readiness(refusing, NOW_MS)).toEqual(not);
  expect(readiness(refusing, NOW_MS + 4_000)).toEqual(not);
  expect(readiness(refusing, NOW_MS + 6_000).ready).toBeTrue();
  expect(readiness(node({ peer: "silent", sealed: false, badVersion: 1 }), NOW_MS).ready).toBeFalse();
  expect(readiness(node({ refused: { forged: 9 } }), NOW_MS).ready).toBeTrue(); // And the peer itself is heard.
});

test("a primary that hands over is not ready until its time is over", () => {
  const role = "master";
  expect(readiness(node({ role, asideUntilMs: NOW_MS + 1 }), NOW_MS)).toMatchObject({ ready: false, aside: true });
  expect(readiness(node({ role, asideUntilMs: NOW_MS }), NOW_MS)).toMatchObject({ ready: true, aside: false });
});

test("who has handed over is there again once the new primary is silent, or can be primary no more", () => {
  const [role, asideUntilMs] = ["fault", NOW_MS + 60_000];
  expect(readiness(node({ role, asideUntilMs, peerRole: "master" }), NOW_MS).aside).toBeTrue();
  expect(readiness(node({ role, asideUntilMs, peerRole: "master", peer: "silent" }), NOW_MS).aside).toBeFalse();
  expect(readiness(node({ role, asideUntilMs, peerRole: "fault" }), NOW_MS).aside).toBeFalse();
  expect(readiness(node({ role, asideUntilMs, peerRole: "stop" }), NOW_MS).aside).toBeFalse();
});

test("who has just started is ready once it has rehearsed, or after ten seconds; at once where nobody else is there", () => {
  const cold = node({ rehearsed: false });
  expect(readiness(cold, 9_000)).toEqual({
    ready: false,
    aside: false,
    reason: "this node has all, but has just started: a takeover would be slow still",
  });
  expect(readiness(cold, 10_000).ready).toBeTrue();
  expect(readiness(node({ rehearsed: true }), 9_000).ready).toBeTrue();
  expect(readiness(node({ rehearsed: false, peer: "silent" }), 9_000).ready).toBeTrue();
  expect(readiness(node({ rehearsed: false, role: "master" }), 9_000).ready).toBeTrue();
});
