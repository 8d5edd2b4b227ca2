/**
 * What our kernel has still to be told of the peer's expectations, while it follows them: as apply-queue.ts for flows, but
 * of what is few, so that sets of slots do. A slot of the external cache
 *
 *   waits     the kernel must be told
 *   stands    the kernel has it, as far as is known
 *   orphaned  its master is not there: it waits again when it comes
 *   failed    the kernel refused it; it is tried again after 1, 2, 4 and up to 32 seconds
 *
 * or is none of these: it was used up here, or its time is over. One that leaves the cache, or is used up, while it stands is
 * *withdrawn*, and what is withdrawn goes before what waits: an expectation of the same tuple is then made after the old one went.
 */
import { type Expectation, expectationKey } from "../flow/expectation.ts";

const RETRY_SECONDS_MAX = 32;

interface Failure {
  readonly tries: number;
  readonly dueMs: number;
}

export class ExpectationQueue {
  /** Whether the kernel follows the external cache. */
  active = false;
  readonly #waiting = new Set<number>();
  readonly #standing = new Set<number>();
  readonly #orphaned = new Set<number>();
  readonly #failed = new Map<number, Failure>();
  readonly #withdrawn = new Map<string, Expectation>();

  get waiting(): number {
    return this.#waiting.size;
  }

  get withdrawing(): number {
    return this.#withdrawn.size;
  }

  get standing(): number {
    return this.#standing.size;
  }

  get orphaned(): number {
    return this.#orphaned.size;
  }

  /** Those that are tried again after a while. */
  get failed(): number {
    return this.#failed.size;
  }

  /** The kernel stops, or begins, to follow. */
  follow(active: boolean): void {
    this.active = active;
    this.clear();
    this.#withdrawn.clear();
  }

  /** Nothing is known any more of the cache's slots; what was withdrawn before still goes. */
  clear(): void {
    for (const slots of [this.#waiting, this.#standing, this.#orphaned, this.#failed]) slots.clear();
  }

  /** The peer told of what is in `slot`, or it is to be tried again. */
  changed(slot: number): void {
    if (!this.active) return;
    this.#orphaned.delete(slot);
    this.#waiting.add(slot);
  }

  /** The kernel may have what is in `slot`, whoever made it. */
  found(slot: number): void {
    if (this.active) this.#standing.add(slot);
  }

  stands(slot: number): boolean {
    return this.#standing.has(slot);
  }

  /** What was in `slot` is another one now of the same key: nothing but its timer can be changed. */
  replaced(slot: number, before: Expectation): void {
    if (this.#standing.delete(slot)) this.#withdrawn.set(expectationKey(before), before);
  }

  /** It left `slot`, or was used up: the kernel must not have it. */
  removed(slot: number, expectation: Expectation): void {
    this.replaced(slot, expectation);
    this.forget(slot);
  }

  /** Nothing is to be told of `slot` any more; what the kernel has of it ends by itself. */
  forget(slot: number): void {
    for (const slots of [this.#waiting, this.#standing, this.#orphaned, this.#failed]) slots.delete(slot);
  }

  nextWithdrawn(): Expectation | undefined {
    for (const [key, expectation] of this.#withdrawn) {
      this.#withdrawn.delete(key);
      return expectation;
    }
    return undefined;
  }

  /** The next slot that waits, or -1. Whoever takes it says what came of it. */
  next(): number {
    return take(this.#waiting);
  }

  applied(slot: number): void {
    this.#failed.delete(slot);
    this.#standing.add(slot);
  }

  refused(slot: number, nowMs: number): void {
    this.#standing.delete(slot);
    const tries = this.#failed.get(slot)?.tries ?? 0;
    this.#failed.set(slot, { tries: tries + 1, dueMs: nowMs + Math.min(2 ** tries, RETRY_SECONDS_MAX) * 1_000 });
  }

  /** Its master is not there, or is not the peer's yet. */
  awaitsMaster(slot: number): void {
    this.forget(slot);
    this.#orphaned.add(slot);
  }

  /** The one that has waited longest for its master, which waits on behind the others; or -1. */
  nextOrphaned(): number {
    return this.#again(this.#orphaned);
  }

  /** The one that stands whose turn it is to be looked at; or -1. */
  nextStanding(): number {
    return this.#again(this.#standing);
  }

  /** The kernel has it no more, and nobody of us deleted it. */
  lost(slot: number): void {
    if (this.#standing.delete(slot)) this.changed(slot);
  }

  /** Those that were refused wait again as far as their time has come. */
  retry(nowMs: number): void {
    for (const [slot, { dueMs }] of this.#failed) if (dueMs <= nowMs) this.changed(slot);
  }

  /** All that the kernel has not waits. */
  retryAll(): void {
    this.retry(Number.POSITIVE_INFINITY);
    for (const slot of this.#orphaned) this.changed(slot);
  }

  #again(slots: Set<number>): number {
    const slot = take(slots);
    if (slot >= 0) slots.add(slot);
    return slot;
  }
}

/** The first that was added, which leaves; or -1. */
function take(slots: Set<number>): number {
  for (const slot of slots) {
    slots.delete(slot);
    return slot;
  }
  return -1;
}
