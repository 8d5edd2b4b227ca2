/**
 * In which order the kernel is told the flows that wait. As they came; at a takeover, which drains them, before that
 *
 *   1. those whose packets wait at the gate (work/first-flows.ts)
 *   2. those with a helper: nothing new of such a session passes before the helper knows where the peer's had come to
 */
import type { ApplyQueue } from "../cache/apply-queue.ts";
import type { ExternalCache } from "../cache/external.ts";
import type { FirstFlows } from "./work/first-flows.ts";

/** To look for those with a helper takes 1 to 3 ms where 500,000 flows stand; no more than these are told as soon without it. */
const FEW = 256;

export class ApplyOrder {
  readonly #external: ExternalCache;
  readonly #queue: ApplyQueue;
  #first: FirstFlows | undefined;
  /** Flows with a helper before this slot have been taken; -1: all. */
  #helpedSlot = -1;

  constructor(external: ExternalCache, queue: ApplyQueue) {
    this.#external = external;
    this.#queue = queue;
  }

  beginDrain(first: FirstFlows | undefined): void {
    this.#first = first;
    this.#helpedSlot = this.#queue.waiting > FEW ? 0 : -1;
  }

  endDrain(): void {
    this.#first = undefined;
    this.#helpedSlot = -1;
  }

  /** Before a batch: whose packets came meanwhile. */
  look(): void {
    this.#first?.look();
  }

  /** The next slot, or -1: none waits, or none that should be told before others are known. */
  next(nowMs: number): number {
    const first = this.#first;
    for (let slot = first?.next() ?? -1; slot >= 0; slot = first?.next() ?? -1) {
      if (!this.#external.isUsed(slot) || !this.#queue.take(slot)) continue;
      if (first !== undefined) first.taken++;
      return slot;
    }
    if (first?.isWaiting) return -1;
    while (this.#helpedSlot >= 0) {
      const slot = this.#external.nextHelped(this.#helpedSlot);
      this.#helpedSlot = slot < 0 ? -1 : slot + 1;
      if (slot >= 0 && this.#queue.take(slot)) return slot;
    }
    return this.#queue.next(nowMs);
  }
}
