/**
 * A node whose kernel follows its peer (`sync.apply = "live"`) changes its role: what it does beside, or instead of, what
 * a node does that commits.
 *
 *   begins     the kernel's table has been read: what stands in it is held until the peer said what is its own
 *   takes over drain     what waits still goes into the kernel: a few milliseconds, whatever the size of the table
 *              adopt     the table is read: each entry goes from the external cache to the internal one, and is announced
 *                        once; what the kernel lacks is committed
 *   steps down the kernel follows again; each flow that the peer names, or has named, leaves the internal cache (D-029)
 *   stops      the timers of the peer's entries are shortened, since nobody renews or deletes them now
 */
import { Flow, HAS_TIMEOUT, TIMEOUT } from "../../flow/flow.ts";
import { explain, type KernelError } from "../../kernel/kernel-error.ts";
import type { Live } from "../../replica-live.ts";
import type { NotifyRole } from "../../report.ts";
import type { AdoptReport } from "../../report-apply.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import type { Session } from "../../sync/session.ts";
import type { Apply, Drained } from "../apply.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { firstFlows } from "./commit.ts";
import { commitExpectations, resyncExpectations } from "./expectations.ts";
import { reread } from "./resync.ts";
import { SliceClock } from "./slice-clock.ts";

/** Longer than a living peer is ever silent. */
const ANSWER_MS = 3_500;
const WAIT = { peerWaitMs: 5 } as const;
const NOTHING: Drained = { applied: 0, withdrawn: 0, refused: 0, failures: [] };
const LOOK_MS = 250;

/** keepalived spoke: from now on the kernel follows the peer's word, or does not. */
export function takeRole(node: Node, role: NotifyRole): void {
  const { live, external } = node.replica;
  if (node.apply === undefined || live === undefined) return;
  if (role !== "master") {
    external.endTakeover();
    node.apply.begin(monotonicMs());
    node.replica.expectations.yield(monotonicMs());
  }
  if (live.holding) live.holding = role !== "master";
  else if (role !== "master") void node.jobs.addIdle(settle(node)); // What was in doubt is not any more.
}

/** A daemon that starts on a primary: what its kernel has is its own, and the peer's word changes nothing there. */
export function followNobody({ apply, replica }: Node): void {
  apply?.end();
  if (replica.live !== undefined) replica.live.holding = false;
}

/** After the start: waits until it is known what the peer has, or that none is there; what is held is the peer's or ours then. */
export function* settle(node: Node): Job<{ readonly leftOver: number }> {
  const { replica, timers } = node;
  const { live, internal } = replica;
  if (live === undefined) return succeed({ leftOver: 0 });
  const isKnown = (session: Session, nowMs: number): boolean =>
    session.requestDone || (nowMs - node.startedMs > ANSWER_MS && session.peerState(nowMs) === "silent");
  while (!replica.sessions.every((session) => isKnown(session, monotonicMs()))) yield WAIT;
  live.holding = false;
  const flow = new Flow();
  const seconds = node.config.sync.purgeTimeoutSeconds;
  let leftOver = 0;
  const slice = new SliceClock();
  for (let slot = 0; slot < internal.slotsEnd; slot++) {
    if (slice.isOver()) {
      timers.flush(); // Another job may use them in between.
      yield 0;
      slice.begin();
    }
    if (!internal.isLive(slot) || !internal.isHeld(slot)) continue;
    if (live.settle(slot, monotonicMs()) === "left over" && internal.leaveOver(slot)) {
      // It ended while we were not there, or nobody speaks for it: it lives no longer than a short absence.
      internal.read(slot, flow, monotonicMs());
      if (!timers.hasRoom()) timers.flush();
      if (!flow.has(HAS_TIMEOUT) || flow.words[TIMEOUT] > seconds) timers.add(flow, slot, seconds);
      leftOver++;
    }
  }
  timers.flush();
  if (internal.count > 0 && node.config.sync.expectations) {
    const read = yield* rereadExpectations(node);
    if (!read.ok)
      node.log.warning(`what the kernel expects is not known before it is read again: ${explain(read.error)}`);
  }
  return succeed({ leftOver });
}

/** As long as it was not known whose flows are, nobody announced what they expect. Nothing is applied meanwhile. */
function* rereadExpectations({ replica, state }: Node): Generator<Slice, Result<void, KernelError>, void> {
  state.rereading++;
  try {
    return yield* resyncExpectations(replica.expectations);
  } finally {
    state.rereading--;
  }
}

/**
 * What waits still, flows and then expectations. From then on nothing is applied: what the peer says now may be old. Or it is
 * primary too, and what it says is its own affair.
 */
export function* drain(node: Node, apply: Apply): Job<Drained & { readonly expectations: number }> {
  const startMs = monotonicMs();
  node.flight.note("commit-begin", "", { a: node.replica.live?.queue.waiting ?? 0 });
  const follows = apply.active;
  const first = firstFlows(node);
  const drained = follows ? yield* apply.drain(first) : NOTHING;
  node.gate.takenFirst += first?.taken ?? 0;
  const expected = follows ? yield* apply.expectations.drain() : undefined;
  apply.end();
  node.replica.external.beginTakeover();
  const { external } = node.replica.expectations;
  external.beginTakeover();
  const { committed, failed } = expected ?? (yield* commitExpectations(external, node.expectationCommit));
  node.flight.note("commit-end", "", {
    a: drained.applied,
    c: drained.refused,
    d: Math.round(monotonicMs() - startMs),
  });
  for (const { errno, reason, count } of drained.failures)
    node.flight.note("refused", `${errno}: ${reason}`, { a: count });
  node.watch.committed();
  const value = { ...drained, expectations: committed };
  return failed === 0 ? succeed(value) : refuse({ error: `${failed} expectations could not be committed`, value });
}

/** After `drain`: the kernel's table is ours, entry by entry. What the external cache has and the kernel has not is put into it. */
export function* adopt(node: Node, apply: Apply, live: Live): Job<AdoptReport> {
  const { expectations } = node.replica;
  const before = live.adopted;
  const read = yield* reread(node, (flow, nowMs) => live.adopt(flow, nowMs));
  if (!read.ok) return refuse({ error: read.error.error });
  apply.beginEmpty();
  const missing = yield* findMissing(node, live);
  const { refused } = yield* apply.drain();
  apply.end();
  yield* adoptApplied(node, live, missing);
  void node.jobs.addIdle(letGo(node, node.state.words));
  expectations.external.forgetCommitted(); // They are the kernel's now, and were read with its flows.
  const value = { read: read.value.read, adopted: live.adopted - before, missing: missing.length, refused };
  return refused === 0 ? succeed(value) : refuse({ error: `${refused} flows could not be put into the kernel`, value });
}

/**
 * A ctsync peer withdraws what was adopted from it. If it dies instead, that leaves the external cache once it is silent: else
 * a flow that ends here from now on would come back from there when roles change.
 */
function* letGo({ replica, state }: Node, word: number): Job<void> {
  const { external, sessions } = replica;
  const withdraws = (session: Session): boolean => session.extended && session.peerState(monotonicMs()) !== "silent";
  while (state.words === word && external.count > 0 && sessions.some(withdraws)) yield LOOK_MS;
  if (state.words !== word) return succeed(undefined); // Roles have changed since.
  const slice = new SliceClock();
  for (let slot = 0; slot < external.slotsEnd; slot++) {
    if (slice.isOver()) {
      yield 0;
      if (state.words !== word) return succeed(undefined);
      slice.begin();
    }
    if (external.isUsed(slot) && external.wasAdopted(slot)) external.remove(slot);
  }
  external.endTakeover();
  return succeed(undefined);
}

/** The peer's flows that our kernel knows nothing of: they wait. */
export function* findMissing(
  { replica }: Pick<Node, "replica">,
  live: Live,
  slice = new SliceClock(),
): Generator<Slice, number[], void> {
  const { external } = replica;
  const flow = new Flow();
  const missing: number[] = [];
  for (let slot = 0; slot < external.slotsEnd; slot++) {
    if (slice.isOver()) {
      yield 0; // The peer goes on: a slot that was named before may be free after it.
      slice.begin();
    }
    if (!external.isUsed(slot)) continue;
    external.read(slot, flow, monotonicMs());
    // What was adopted and is not ours has ended here since.
    if (!external.wasAdopted(slot) && !live.isOurs(flow)) {
      live.queue.changed(slot, monotonicMs());
      missing.push(slot);
    }
  }
  return missing;
}

/** Those that the kernel has now, by asking for each. */
function* adoptApplied(node: Node, live: Live, missing: readonly number[]): Generator<Slice, void, void> {
  const { replica, lookup } = node;
  const { external } = replica;
  const flow = new Flow();
  for (let next = 0; next < missing.length; ) {
    const nowMs = monotonicMs();
    for (; next < missing.length && lookup.hasRoom(); next++) {
      if (!external.isUsed(missing[next])) continue;
      external.read(missing[next], flow, nowMs);
      lookup.add(flow);
    }
    if (lookup.ask() < 0) return; // The audit will find them.
    for (let i = 0; i < lookup.asked; i++) {
      const entry = lookup.found(i);
      if (entry !== undefined) live.adopt(entry, nowMs);
    }
    yield 0;
  }
}

/** An orderly end: the peer's entries live on as long as a short absence takes, no longer. */
export function leave(node: Node): number {
  const { replica, timers } = node;
  const { external, live } = replica;
  if (live === undefined || !live.queue.active) return 0;
  const seconds = node.config.sync.purgeTimeoutSeconds;
  node.apply?.expectations.leave(seconds);
  const flow = new Flow();
  let shortened = 0;
  for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
    if (!live.queue.stands(slot)) continue;
    external.read(slot, flow, monotonicMs());
    if ((flow.has(HAS_TIMEOUT) && flow.words[TIMEOUT] <= seconds) || replica.live?.isOurs(flow)) continue;
    if (!timers.hasRoom()) shortened -= timers.flush();
    timers.add(flow, slot, seconds);
    shortened++;
  }
  return shortened - timers.flush();
}
