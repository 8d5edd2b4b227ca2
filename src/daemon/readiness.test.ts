import { expect, test } from "bun:test";
import type { PeerState } from "../sync/session.ts";
import type { Node } from "./node.ts";
import type { Proof } from "./peer-proof.ts";
import { readiness } from "./readiness.ts";

const NOW_MS = 100_000;

/** A backup that has all, and what is otherwise. */
function node(other: { role?: string; suspect?: boolean; peer?: PeerState; held?: Partial<Proof> } = {}): Node {
  const held = { supported: true, equalMs: NOW_MS - 1_000, flows: 5, differing: 0, ...other.held };
  const session = { requestDone: true, peerState: () => other.peer ?? "connected" };
  return {
    state: { started: true, role: other.role ?? "backup", suspect: other.suspect ?? false },
    replica: { external: { count: 5 }, sessions: [session], held: () => held },
    config: { sync: { flowsMax: 16 } },
    links: [{ peer: "10.0.9.2" }],
    startedMs: 0,
  } as unknown as Node;
}

test("a peer that can prove it must have been found equal, lately or at the last comparison", () => {
  expect(readiness(node(), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: { equalMs: Number.NEGATIVE_INFINITY } }), NOW_MS)).toEqual({
    ready: false,
    reason: "the peer 10.0.9.2 and this node have not compared their caches yet",
  });
  const differing = { equalMs: NOW_MS - 60_000, differing: 3 };
  expect(readiness(node({ held: differing }), NOW_MS)).toEqual({
    ready: false,
    reason: "the external cache differs from what the peer 10.0.9.2 has (3 parts of it)",
  });
  expect(readiness(node({ held: { ...differing, differing: 0 } }), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: { ...differing, supported: false } }), NOW_MS).ready).toBeTrue();
  expect(readiness(node({ held: differing, peer: "silent" }), NOW_MS).ready).toBeTrue();
});

test("a backup whose events were lost is not ready, a primary stays what it is", () => {
  expect(readiness(node({ suspect: true }), NOW_MS)).toEqual({
    ready: false,
    reason: "the kernel dropped events, and its table is being read again",
  });
  expect(readiness(node({ suspect: true, role: "master" }), NOW_MS).ready).toBeTrue();
});
