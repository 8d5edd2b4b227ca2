/**
 * Keeps the kernel's expectations as the external cache of them is, while this node is not primary: the part of apply.ts for
 * expectations, whose turn comes after that of the flows, since their masters must stand and the flows that use them up should
 * (D-027).
 *
 * Once a second those that stand are asked after, some at a time: the kernel drops them with their master, for a newer one of the
 * same session, or by somebody's hand, and does not always tell. That sets their timers right too.
 */
import { Errno } from "../../ffi/errno.ts";
import type { ExpectationQueue } from "../cache/expectation-queue.ts";
import { sessionKey } from "../flow/expectation.ts";
import type { ExpectationChanges } from "../kernel/expectation-changes.ts";
import type { ExpectationCommit } from "../kernel/expectation-commit.ts";
import { explainExpectationRefusal } from "../kernel/explain-errno.ts";
import type { ReplicaExpectations } from "../replica-expectations.ts";
import type { Refusal } from "../report.ts";
import { noExpectations } from "./apply-counters.ts";
import { monotonicMs } from "./clock.ts";
import { SLICE_MS, type Slice } from "./jobs.ts";
import { refusal } from "./work/refusal.ts";

/** As for flows (apply.ts). */
const PART_MS = 2;
const GATHER_MS = 10;
const LATE_MS = 10 * GATHER_MS;
const SCAN_MS = 1_000;
/** So many are looked at in a batch, in a scan, and in a turn of those that wait for their master. */
const BATCH = 256;
const ORPHANS_PER_TURN = 64;

export interface ExpectationParts {
  readonly expectations: ReplicaExpectations;
  readonly commit: Pick<ExpectationCommit, "add" | "flush" | "hasRoom" | "portId" | "refusedErrno" | "refusedTag">;
  readonly changes: Pick<
    ExpectationChanges,
    "delete" | "flush" | "hasRoom" | "portId" | "refusedErrno" | "refusedTag" | "renew"
  >;
}

export interface DrainedExpectations {
  readonly committed: number;
  /** Those that the kernel refused, but for such whose master is not there. */
  readonly failed: number;
}

export class ApplyExpectations {
  readonly counters = noExpectations();
  readonly #expectations: ReplicaExpectations;
  readonly #queue: ExpectationQueue;
  readonly #commit: ExpectationParts["commit"];
  readonly #changes: ExpectationParts["changes"];
  readonly #refusals = new Map<number, number>();
  /** Since when something waits. */
  #sinceMs = Number.POSITIVE_INFINITY;
  #scanMs = 0;

  constructor({ expectations, commit, changes }: ExpectationParts) {
    this.#expectations = expectations;
    this.#queue = expectations.queue;
    this.#commit = commit;
    this.#changes = changes;
  }

  /** Events of these are what we told the kernel. */
  get portIds(): readonly number[] {
    return [this.#commit.portId, this.#changes.portId];
  }

  /** From now on the kernel follows what the external cache has. It may have any of that: we were primary. */
  begin(): void {
    const { external } = this.#expectations;
    this.#queue.follow(true);
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
      this.#queue.found(slot);
      this.#queue.changed(slot);
    }
  }

  end(): void {
    if (this.#queue.active) this.#queue.follow(false);
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  get standing(): number {
    return this.#queue.standing;
  }

  /** Those that the kernel does not have, though it was told. */
  get failing(): number {
    return this.#queue.failed + this.#queue.orphaned;
  }

  get refusals(): Refusal[] {
    return [...this.#refusals].map(([errno, count]) => refusal(errno, explainExpectationRefusal(errno), count));
  }

  /** When `turn` wants to be called again. */
  get dueMs(): number {
    const { standing, failed } = this.#queue;
    const scanMs = standing + failed > 0 ? this.#scanMs : Number.POSITIVE_INFINITY;
    if (!this.#waits) return scanMs;
    return this.#sinceMs === Number.POSITIVE_INFINITY ? 0 : Math.min(this.#sinceMs + GATHER_MS, scanMs);
  }

  isCurrent(nowMs: number): boolean {
    return nowMs - this.#sinceMs < LATE_MS;
  }

  /** After the flows' turn. */
  turn(nowMs: number): void {
    if (!this.#queue.active) return;
    if (nowMs >= this.#scanMs) this.#scan(nowMs);
    this.#wakeOrphans();
    if (!this.#waits) this.#sinceMs = Number.POSITIVE_INFINITY;
    else this.#sinceMs = Math.min(this.#sinceMs, nowMs);
    if (nowMs < this.#sinceMs + GATHER_MS) return;
    for (let atMs = nowMs; atMs - nowMs < PART_MS && this.#batch(atMs); ) atMs = monotonicMs();
    if (!this.#waits) this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  /** Tells the kernel all that waits, those too that it refused before: after the flows' drain. */
  *drain(): Generator<Slice, DrainedExpectations, void> {
    const { expectationsApplied, expectationsRefused } = this.counters;
    const { recentEvents } = this.#expectations;
    this.#queue.retryAll();
    try {
      for (let sliceEndMs = monotonicMs() + SLICE_MS; this.#batch(monotonicMs()); ) {
        if (monotonicMs() < sliceEndMs) continue;
        recentEvents.anything();
        yield 0;
        sliceEndMs = monotonicMs() + SLICE_MS;
      }
    } finally {
      recentEvents.anything(); // A dump that is under way may be older than what was done here.
    }
    const { counters } = this;
    return {
      committed: counters.expectationsApplied - expectationsApplied,
      failed: counters.expectationsRefused - expectationsRefused,
    };
  }

  /** An orderly end: what stands lives no longer than a short absence takes. */
  leave(seconds: number): void {
    const { external } = this.#expectations;
    for (let left = this.#queue.standing; left > 0; left--) {
      const slot = this.#queue.nextStanding();
      const { timeoutSeconds, ...rest } = external.read(slot, monotonicMs());
      if (timeoutSeconds !== undefined && timeoutSeconds <= seconds) continue;
      if (!this.#changes.hasRoom()) this.#changes.flush();
      this.#changes.renew({ ...rest, timeoutSeconds: seconds }, slot);
    }
    this.#changes.flush();
  }

  get #waits(): boolean {
    return this.#queue.waiting + this.#queue.withdrawing > 0;
  }

  /** Deletions first: false when nothing waits any more. */
  #batch(nowMs: number): boolean {
    if (this.#queue.withdrawing > 0) {
      this.#deleteSome();
      return true;
    }
    return this.#createSome(nowMs);
  }

  #deleteSome(): void {
    let added = 0;
    while (this.#changes.hasRoom()) {
      const expectation = this.#queue.nextWithdrawn();
      if (expectation === undefined) break;
      if (this.#expectations.isOwn(expectation)) continue;
      this.#changes.delete(expectation, added++);
    }
    // Those that were gone already are no news.
    this.counters.expectationsWithdrawn += added - this.#changes.flush();
  }

  #createSome(nowMs: number): boolean {
    const { external } = this.#expectations;
    const slots: number[] = [];
    for (let taken = 0; taken < BATCH && this.#commit.hasRoom(); taken++) {
      const slot = this.#queue.next();
      if (slot < 0) break;
      const expectation = external.read(slot, nowMs);
      if (expectation.timeoutSeconds === 0) this.#queue.forget(slot);
      else if (this.#expectations.masterOf(expectation) === "ours") this.#queue.awaitsMaster(slot);
      else this.#commit.add(expectation, slots.push(slot) - 1);
    }
    const refusedCount = slots.length === 0 ? 0 : this.#commit.flush();
    const errnos = new Map<number, number>();
    for (let i = 0; i < refusedCount; i++) errnos.set(this.#commit.refusedTag(i), this.#commit.refusedErrno(i));
    for (const [i, slot] of slots.entries()) this.#answered(slot, errnos.get(i) ?? 0, nowMs);
    return this.#queue.waiting > 0;
  }

  #answered(slot: number, errno: number, nowMs: number): void {
    if (errno === 0) {
      this.#queue.applied(slot);
      this.counters.expectationsApplied++;
      return;
    }
    if (errno === Errno.ENOENT) {
      // An entry that we only believe to stand is no reason to try at once.
      if (this.#expectations.masterOf(this.#expectations.external.at(slot)) === "stands")
        this.#queue.refused(slot, nowMs);
      else this.#queue.awaitsMaster(slot);
      return;
    }
    this.counters.expectationsRefused++;
    this.#refusals.set(errno, (this.#refusals.get(errno) ?? 0) + 1);
    this.#queue.refused(slot, nowMs);
  }

  #wakeOrphans(): void {
    const { external } = this.#expectations;
    for (let looks = Math.min(this.#queue.orphaned, ORPHANS_PER_TURN); looks > 0; looks--) {
      const slot = this.#queue.nextOrphaned();
      if (this.#expectations.masterOf(external.at(slot)) === "stands") this.#queue.changed(slot);
    }
  }

  #scan(nowMs: number): void {
    this.#scanMs = nowMs + SCAN_MS;
    this.#queue.retry(nowMs);
    const { external } = this.#expectations;
    const asked: number[] = [];
    for (let looks = Math.min(this.#queue.standing, BATCH); looks > 0 && this.#changes.hasRoom(); looks--) {
      const slot = this.#queue.nextStanding();
      const expectation = external.read(slot, nowMs);
      if (expectation.timeoutSeconds === 0) this.#queue.forget(slot);
      else if (this.#expectations.masterOf(expectation) !== "ours")
        this.#changes.renew(expectation, asked.push(slot) - 1);
    }
    const refused = this.#changes.flush();
    const lost = new Set<number>();
    for (let i = 0; i < refused; i++)
      if (this.#changes.refusedErrno(i) === Errno.ENOENT) lost.add(asked[this.#changes.refusedTag(i)]);
    if (lost.size > 0) this.#lost(lost, asked);
  }

  /**
   * The kernel allows a session so many, and a newer one pushes the oldest out: such a one must not push out the newer in its turn.
   * Its peer has told of its end, or is about to.
   */
  #lost(lost: ReadonlySet<number>, asked: readonly number[]): void {
    const { external } = this.#expectations;
    const sessionOf = (slot: number): string => sessionKey(external.at(slot));
    const standing = new Set(asked.filter((slot) => !lost.has(slot)).map(sessionOf));
    for (const slot of lost) {
      if (standing.has(sessionOf(slot))) {
        this.#queue.forget(slot);
        continue;
      }
      this.#queue.lost(slot);
      this.counters.expectationsLost++;
    }
  }
}
