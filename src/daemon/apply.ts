/**
 * Keeps the kernel's table as the external cache is, while this node is not primary (`sync.apply = "live"`).
 *
 *   turn     a part of the loop's turn: what the peer withdrew is deleted, what it told is created or updated, timers are renewed
 *   drain    the same to its end, for a takeover: related flows without a master go without it then
 *
 * What comes gathers for some milliseconds: a flow's first events become one request, and many requests one message. It costs
 * a takeover nothing, since the primary's death is noticed much later than that. An entry that our own kernel speaks of is
 * ours (replica-live.ts), and not touched.
 */
import { Errno } from "../../ffi/errno.ts";
import { type ApplyQueue, RENEW_AHEAD_SECONDS } from "../cache/apply-queue.ts";
import {
  Flow,
  HAS,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
} from "../flow/flow.ts";
import type { KernelCommit } from "../kernel/commit.ts";
import type { KernelDelete } from "../kernel/delete.ts";
import { explainRefusal } from "../kernel/explain-errno.ts";
import type { KernelTimers } from "../kernel/timers.ts";
import type { Replica } from "../replica.ts";
import type { Live } from "../replica-live.ts";
import type { Refusal } from "../report.ts";
import { noneApplied } from "./apply-counters.ts";
import type { ApplyExpectations } from "./apply-expectations.ts";
import { ApplyOrder } from "./apply-order.ts";
import { MAY_PASS, NOT_MADE } from "./apply-refusals.ts";
import { monotonicMs } from "./clock.ts";
import { SLICE_MS, type Slice } from "./jobs.ts";
import { timeoutOf } from "./timeout.ts";
import type { FirstFlows } from "./work/first-flows.ts";
import { refusal } from "./work/refusal.ts";
import { SliceClock } from "./work/slice-clock.ts";

/** Longest share of a turn, which has others beside: together they stay under ten milliseconds. */
const PART_MS = 1.5;
/** How long the first of a batch waits for others; so many make a batch full. */
const GATHER_MS = 10;
const BATCH_FLOWS = 256;
/** Timers and refused flows are gone through once in this time, so many slots a turn. */
const SCAN_MS = 1_000;
const SCAN_SLOTS = 65_536;
/** What the kernel lacked for some flows is asked for again after this time. */
const START_MS = 60_000;
/** ETIME: the entry ended between being found and being changed. */
const ETIME = 62;

export interface ApplyParts {
  readonly replica: Replica;
  readonly commit: Pick<KernelCommit, "add" | "flush" | "hasRoom" | "portId" | "refusedErrno" | "refusedTag" | "start">;
  readonly deletes: Pick<KernelDelete, "add" | "flush" | "hasRoom" | "portId">;
  readonly timers: Pick<KernelTimers, "add" | "flush" | "hasRoom" | "portId" | "refusedErrno" | "refusedTag">;
  readonly expectations: ApplyExpectations;
  /** What the timer of a flow is shortened to that may be in use here, instead of its deletion. */
  readonly doubtSeconds: number;
}

export interface Drained {
  readonly applied: number;
  readonly withdrawn: number;
  readonly refused: number;
  /** Why the kernel refused them. */
  readonly failures: readonly Refusal[];
}

export class Apply {
  readonly counters = noneApplied();
  readonly expectations: ApplyExpectations;
  /** How often the kernel refused a flow, by errno. */
  readonly refusals = new Map<number, number>();
  readonly #replica: Replica;
  readonly #queue: ApplyQueue;
  readonly #live: Live;
  readonly #commit: ApplyParts["commit"];
  readonly #deletes: ApplyParts["deletes"];
  readonly #timers: ApplyParts["timers"];
  readonly #doubtSeconds: number;
  readonly #slice: SliceClock;
  readonly #flow = new Flow();
  readonly #master = new Flow();
  /** Of the flows of a batch. */
  readonly #slots = new Uint32Array(BATCH_FLOWS);
  readonly #timeouts = new Uint32Array(BATCH_FLOWS);
  readonly #errnos = new Uint16Array(BATCH_FLOWS);
  #withdrawnMs = Number.POSITIVE_INFINITY;
  #scanMs = Number.POSITIVE_INFINITY;
  #scanSlot = 0;
  /** Related flows do not wait for their master any more. */
  #draining = false;
  readonly #order: ApplyOrder;

  constructor(parts: ApplyParts, live: Live, slice = new SliceClock()) {
    this.#slice = slice;
    this.#replica = parts.replica;
    this.#queue = live.queue;
    this.#live = live;
    this.#order = new ApplyOrder(parts.replica.external, live.queue);
    this.#commit = parts.commit;
    this.#deletes = parts.deletes;
    this.#timers = parts.timers;
    this.expectations = parts.expectations;
    this.#doubtSeconds = parts.doubtSeconds;
  }

  /** Events of these are what we told the kernel. */
  get portIds(): readonly number[] {
    return [this.#commit.portId, this.#deletes.portId, this.#timers.portId];
  }

  /** From now on the kernel follows what the external cache has, and what it is told. It may have any of that: we were primary. */
  begin(nowMs: number): void {
    if (this.#queue.active) return;
    this.#queue.follow(true);
    if (this.#replica.external.count > 0) this.#queue.lookedTo = 0;
    this.#scanMs = nowMs + SCAN_MS;
    this.expectations.begin();
  }

  /** Goes on with what `begin` began. */
  #lookOn(nowMs: number): void {
    const { external } = this.#replica;
    const queue = this.#queue;
    const slice = this.#slice;
    slice.begin();
    for (let slot = queue.lookedTo; slot < external.slotsEnd; slot++) {
      queue.lookedTo = slot;
      if (slice.isOver()) return;
      if (!external.isUsed(slot)) continue;
      this.#live.follow(slot, nowMs);
    }
    queue.lookedTo = Number.POSITIVE_INFINITY;
  }

  /** All that `begin` began. */
  *look(): Generator<Slice, void, void> {
    for (; this.#looks; yield 0) this.#lookOn(monotonicMs());
  }

  get #looks(): boolean {
    return this.#queue.lookedTo < Number.POSITIVE_INFINITY;
  }

  /** As `begin`, but nothing waits yet, and of flows alone: this node has taken over, and says itself what its kernel lacks. */
  beginEmpty(): void {
    this.#queue.follow(true);
  }

  end(): void {
    if (this.#queue.active) this.#queue.follow(false);
    this.#scanMs = Number.POSITIVE_INFINITY;
    this.expectations.end();
  }

  get active(): boolean {
    return this.#queue.active;
  }

  /** Flows of the peer that stand in the kernel. */
  get standing(): number {
    return this.#queue.standing;
  }

  /** When `turn` wants to be called again. */
  get dueMs(): number {
    return Math.min(this.#flowsDueMs, this.expectations.dueMs);
  }

  get #flowsDueMs(): number {
    const { waiting, withdrawing, oldestMs } = this.#queue;
    if (this.#looks) return 0;
    if (waiting + withdrawing === 0) return this.#scanMs;
    if (waiting + withdrawing >= BATCH_FLOWS) return 0;
    return Math.min(this.#scanMs, Math.min(oldestMs, this.#withdrawnMs) + GATHER_MS);
  }

  /** Nothing waits that has waited for long. */
  isCurrent(nowMs: number): boolean {
    const areCurrent = !this.#looks && nowMs - this.#queue.oldestMs < 10 * GATHER_MS;
    return areCurrent && this.expectations.isCurrent(nowMs);
  }

  turn(nowMs: number): void {
    if (!this.#queue.active) return;
    if (this.#looks) {
      this.#lookOn(nowMs);
      return;
    }
    if (nowMs >= this.#scanMs) this.#scan(nowMs);
    if (this.#queue.withdrawing > 0) this.#withdrawnMs = Math.min(this.#withdrawnMs, nowMs);
    if (nowMs >= this.#flowsDueMs)
      for (let atMs = nowMs; atMs - nowMs < PART_MS && this.#batch(atMs); ) atMs = monotonicMs();
    this.expectations.turn(nowMs);
  }

  /** Tells the kernel all flows that wait, those too that it refused before. `first`: which of them go before their turn. */
  *drain(first?: FirstFlows): Generator<Slice, Drained, void> {
    const before = { ...this.counters };
    const known = new Map(this.refusals);
    const queue = this.#queue;
    const { external, recentEvents } = this.#replica;
    this.#draining = true;
    this.#commit.start();
    try {
      yield* this.look();
      const slice = this.#slice;
      slice.begin();
      for (let slot = 0; queue.failing > 0 && slot < external.slotsEnd; slot++) {
        if (slice.isOver()) {
          yield 0;
          slice.begin();
        }
        if (external.isUsed(slot) && !queue.isSettled(slot)) queue.changed(slot, monotonicMs());
      }
      this.#order.beginDrain(first);
      for (let sliceEndMs = monotonicMs() + SLICE_MS; this.#batch(monotonicMs()); ) {
        if (monotonicMs() < sliceEndMs) continue;
        recentEvents.anything();
        yield 0;
        sliceEndMs = monotonicMs() + SLICE_MS;
      }
    } finally {
      this.#draining = false;
      this.#order.endDrain();
      recentEvents.anything(); // A dump that is under way may be older than what was done here.
    }
    const since = (counter: "applied" | "withdrawn"): number => this.counters[counter] - before[counter];
    const failures = [...this.refusals]
      .map(([errno, count]) => refusal(errno, explainRefusal(errno), count - (known.get(errno) ?? 0)))
      .filter(({ count }) => count > 0);
    return { applied: since("applied"), withdrawn: since("withdrawn"), refused: queue.failing, failures };
  }

  /** Deletions first: false when nothing waits any more. */
  #batch(nowMs: number): boolean {
    if (this.#queue.withdrawing > 0) {
      this.#deleteSome();
      return true;
    }
    this.#withdrawnMs = Number.POSITIVE_INFINITY;
    return this.#createSome(nowMs);
  }

  #deleteSome(): void {
    const flow = this.#flow;
    let added = 0;
    while (this.#deletes.hasRoom() && this.#timers.hasRoom() && this.#queue.nextWithdrawn(flow)) {
      if (this.#live.isOurs(flow)) continue;
      // What may be in use here is not deleted: its timer is shortened, which its packets undo.
      if (this.#queue.doubtful && this.#live.inDoubt)
        this.#timers.add(flow, 0, Math.min(timeoutOf(flow), this.#doubtSeconds));
      else this.#deletes.add(flow, 0);
      added++;
    }
    // Those that were gone already are no news.
    this.counters.withdrawn += added - this.#deletes.flush() - this.#timers.flush();
  }

  #createSome(nowMs: number): boolean {
    const commit = this.#commit;
    const queue = this.#queue;
    const flow = this.#flow;
    let added = 0;
    this.#order.look();
    for (let taken = 0; taken < BATCH_FLOWS && commit.hasRoom(); taken++) {
      const slot = this.#order.next(nowMs);
      if (slot < 0) break;
      this.#replica.external.read(slot, flow, nowMs);
      if (this.#live.isOurs(flow)) {
        queue.forget(slot);
        continue;
      }
      if (queue.goesAlone(slot)) this.#withoutMaster(flow);
      this.#slots[added] = slot;
      this.#timeouts[added] = timeoutOf(flow);
      this.#errnos[added] = 0;
      commit.add(flow, added, this.#timeouts[added], queue.stands(slot));
      added++;
    }
    if (added === 0) return queue.waiting > 0;
    const refused = commit.flush();
    this.counters.applied += added - refused;
    for (let i = 0; i < refused; i++) this.#errnos[commit.refusedTag(i)] = commit.refusedErrno(i);
    for (let i = 0; i < added; i++) {
      if (this.#errnos[i] === 0) queue.applied(this.#slots[i], this.#timeouts[i], nowMs);
      else this.#refused(this.#slots[i], this.#errnos[i], nowMs);
    }
    return true;
  }

  #withoutMaster(flow: Flow): void {
    flow.words[HAS] &= ~(HAS_MASTER | HAS_MASTER_PORTS);
    this.counters.masterless++;
  }

  #refused(slot: number, errno: number, nowMs: number): void {
    const queue = this.#queue;
    const flow = this.#flow;
    this.#replica.external.read(slot, flow, nowMs);
    if (errno === Errno.ENOENT && flow.has(HAS_MASTER)) {
      queue.refused(slot, true, true, nowMs);
      if (this.#masterComes(flow, slot))
        queue.changed(slot, nowMs); // Behind its master.
      else if (this.#draining) queue.letAlone(slot, nowMs);
      return;
    }
    this.counters.refused++;
    this.refusals.set(errno, (this.refusals.get(errno) ?? 0) + 1);
    queue.refused(slot, MAY_PASS.has(errno), NOT_MADE.has(errno), nowMs);
  }

  /** Whether the flow's master waits, or was made a moment ago. */
  #masterComes(flow: Flow, related: number): boolean {
    const { words } = this.#master;
    this.#master.clear();
    words[PROTO] = ((flow.words[MASTER_PROTO] & 0xffff0000) | (flow.words[PROTO] & 0xffff)) >>> 0;
    for (let i = 0; i < 4; i++) {
      words[ORIG_SRC + i] = flow.words[MASTER_SRC + i];
      words[ORIG_DST + i] = flow.words[MASTER_DST + i];
    }
    words[ORIG_PORTS] = flow.words[MASTER_PORTS];
    const slot = this.#replica.external.find(this.#master);
    if (slot < 0) return false;
    return this.#queue.isWaiting(slot) || (this.#queue.stands(slot) && this.#queue.triesOf(related) === 1);
  }

  /** Helpers and labels that this machine lacked may be there now. */
  #start(nowMs: number): void {
    this.#commit.start();
    this.#startMs = nowMs + START_MS;
  }
  #startMs = 0;

  /** What is due: entries whose timer is about to end, and flows that are tried again. */
  #scan(nowMs: number): void {
    const queue = this.#queue;
    const { slotsEnd } = this.#replica.external;
    const end = Math.min(this.#scanSlot + SCAN_SLOTS, slotsEnd);
    let next = end;
    let due = 0;
    for (let slot = queue.nextDue(this.#scanSlot, end, nowMs); slot >= 0; slot = queue.nextDue(slot + 1, end, nowMs)) {
      if (queue.isSettled(slot)) this.#renew(slot, nowMs);
      else queue.changed(slot, nowMs);
      if (++due % BATCH_FLOWS !== 0 || monotonicMs() - nowMs < PART_MS) continue;
      next = slot + 1;
      break;
    }
    this.#flushTimers(nowMs);
    this.#scanSlot = next < slotsEnd ? next : 0;
    if (this.#scanSlot > 0) return;
    this.#scanMs = nowMs + SCAN_MS;
    if (nowMs >= this.#startMs) this.#start(nowMs);
  }

  #renew(slot: number, nowMs: number): void {
    const flow = this.#flow;
    if (!this.#timers.hasRoom()) this.#flushTimers(nowMs);
    // What ends so soon counts as ended: the peer, which has said nothing, goes on with the flow (cache/remaining.ts).
    this.#replica.external.read(slot, flow, nowMs + RENEW_AHEAD_SECONDS * 1_000);
    if (this.#live.isOurs(flow)) {
      this.#queue.forget(slot);
      return;
    }
    const timeoutSeconds = timeoutOf(flow);
    this.#timers.add(flow, slot, timeoutSeconds);
    this.#queue.applied(slot, timeoutSeconds, nowMs);
    this.counters.renewed++;
  }

  #flushTimers(nowMs: number): void {
    const refused = this.#timers.flush();
    for (let i = 0; i < refused; i++) {
      const errno = this.#timers.refusedErrno(i);
      if (errno !== Errno.ENOENT && errno !== ETIME) continue; // A fixed timer needs no renewal.
      const slot = this.#timers.refusedTag(i);
      this.#queue.lost(slot, nowMs);
      this.#queue.changed(slot, nowMs);
      this.counters.lost++;
    }
  }
}
