/** Whose an expectation is where a backup's kernel has the peer's expectations too. */
import { beforeEach, describe, expect, test } from "bun:test";
import { makeExpectation } from "../test/make-expectation.ts";
import { makeFlow } from "../test/make-flow.ts";
import { Node, talk } from "../test/replica-node.ts";
import { portsWord } from "./flow/flow.ts";
import { EVENT_NEW, EVENT_UPDATE } from "./replica.ts";

const MASTER = makeFlow({ ports: portsWord(40_000, 21) });
const PORT = 2_000;

const told = ({ replica }: Node): number => replica.counters.wire.expectationsSent;
const own = ({ replica }: Node): number => replica.expectations.internal.count;
const peers = ({ replica }: Node): number => replica.expectations.external.count;
/** An entry of a dump: whether it is news for the peers. */
const dumped = ({ replica, nowMs }: Node): boolean => replica.expectations.kernelEntry(makeExpectation(PORT), nowMs);

function follow({ replica }: Node, active: boolean): void {
  replica.live!.queue.follow(active);
  replica.expectations.queue.follow(active);
}

describe.each([false, true])("between two nodes that know each other: %p", (extended) => {
  let primary: Node;
  let backup: Node;
  beforeEach(() => {
    primary = new Node(1_000, 16, extended ? 11 : undefined, { live: true });
    backup = new Node(5_000, 16, extended ? 22 : undefined, { live: true });
    for (let i = 0; i < 3; i++) talk(primary, backup, 1_000);
    for (const { replica } of [primary, backup]) replica.live!.holding = false;
    primary.replica.role = "master";
    backup.replica.role = "backup";
    follow(backup, true);
    primary.event(EVENT_NEW, MASTER);
    primary.replica.expectations.kernelEvent(true, makeExpectation(PORT), primary.nowMs);
    talk(primary, backup, 1_000);
    expect([own(primary), peers(backup)]).toEqual([1, 1]);
  });

  test("what the peer has is nothing to announce, in a dump neither, nor is it missing or dead", () => {
    expect(dumped(backup)).toBeFalse();
    expect(backup.replica.expectations.compareEntry(makeExpectation(PORT))).toBe("ignored");
    talk(primary, backup, 1_100);
    expect([own(backup), told(backup)]).toEqual([0, 0]);
  });

  test("nor while its master waits to be deleted", () => {
    const { queue } = backup.replica.live!;
    queue.applied(backup.replica.external.find(MASTER), 300, backup.nowMs);
    primary.replica.ended(primary.replica.internal.find(MASTER), primary.nowMs);
    talk(primary, backup, 1_000);
    expect(queue.withdrawing).toBe(1);
    expect([dumped(backup), own(backup)]).toEqual([false, 0]);
  });

  test("what the peer named before this node heard that it is primary no more is the peer's as soon as it hears", () => {
    // The backup takes over, and announces what it adopts, before the old primary's keepalived has said a word there.
    const { replica } = backup;
    replica.role = "master";
    follow(backup, false);
    replica.external.beginTakeover();
    replica.live!.adopt(MASTER, backup.nowMs);
    expect(dumped(backup)).toBeTrue();
    talk(primary, backup, 1_000);
    const old = primary.replica;
    expect([old.external.find(MASTER) >= 0, old.expectations.external.count]).toEqual([true, 1]);
    old.role = "stop";
    follow(primary, true);
    old.expectations.yield(primary.nowMs);
    expect([own(primary), peers(primary)]).toEqual([0, 1]);
    old.live!.follow(old.external.find(MASTER), primary.nowMs);
    expect([old.internal.count, dumped(primary)]).toEqual([0, false]);
    expect(old.expectations.masterOf(makeExpectation(PORT))).toBe("stands");
    talk(primary, backup, 1_000);
    expect([replica.internal.count, own(backup), peers(backup)]).toEqual([1, 1, 0]);
  });

  test("and its master's entry is one to make it with, though that has moved here since", () => {
    const { replica } = backup;
    replica.role = "master";
    follow(backup, false);
    replica.external.beginTakeover();
    replica.live!.adopt(MASTER, backup.nowMs);
    dumped(backup);
    talk(primary, backup, 1_000);
    primary.event(EVENT_UPDATE, MASTER);
    const old = primary.replica;
    old.role = "stop";
    follow(primary, true);
    old.expectations.yield(primary.nowMs);
    const known = old.external.find(MASTER);
    if (known < 0) throw new Error("the peer's word was lost");
    old.live!.follow(known, primary.nowMs);
    old.live!.queue.forget(known); // As apply.ts does with what is this node's own.
    expect([old.live!.isOurs(MASTER), old.expectations.masterOf(makeExpectation(PORT))]).toEqual([true, "stands"]);
  });

  test("what a takeover finds in the kernel is this node's own, and leaves the cache of the peer's", () => {
    const { replica } = backup;
    replica.role = "master";
    follow(backup, false);
    replica.external.beginTakeover();
    replica.expectations.external.beginTakeover();
    replica.live!.adopt(MASTER, backup.nowMs);
    expect([dumped(backup), own(backup)]).toEqual([true, 1]);
    expect(replica.expectations.external.forgetCommitted()).toBe(1);
  });

  test("a former primary gives up what its peer names", () => {
    const { replica } = primary;
    replica.role = "backup";
    follow(primary, true);
    backup.replica.role = "master";
    follow(backup, false);
    backup.replica.live!.adopt(MASTER, backup.nowMs);
    dumped(backup);
    for (let i = 0; i < 3; i++) talk(primary, backup, 1_000);
    expect([own(primary), peers(primary)]).toEqual([0, 1]);
    expect(own(backup)).toBe(1);
    expect(dumped(primary)).toBeFalse();
  });

  test("what this kernel's own packets make it expect is this node's", () => {
    backup.event(EVENT_UPDATE, MASTER);
    backup.replica.expectations.kernelEvent(true, makeExpectation(PORT + 1), backup.nowMs);
    talk(primary, backup, 1_000);
    expect([own(backup), told(backup)]).toEqual([1, 1]);
  });
});

test("after a start, what stands in the kernel is announced to nobody until its master is this node's", () => {
  const node = new Node(1_000, 16, undefined, { live: true });
  const { replica } = node;
  follow(node, true);
  replica.kernelEntry(MASTER, node.nowMs);
  expect(replica.internal.isHeld(replica.internal.find(MASTER))).toBeTrue();
  expect([dumped(node), own(node)]).toEqual([false, 0]);
  replica.live!.release(replica.internal.find(MASTER));
  expect([dumped(node), own(node)]).toEqual([true, 1]);
});
