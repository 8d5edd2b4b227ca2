/**
 * Room for others while the loop works without a pause at real-time priority.
 *
 * Ordinary processes that the loop keeps from running for almost a second are given 50 ms at a stretch by the kernel
 * (its "fair server"), in which the loop stands still. So it stops by itself, often and briefly, for a little more than
 * the twentieth part that they are entitled to (D-008).
 */
const WORK_MS = 10;
const BREATH_MS = 0.7;

export class Breath {
  readonly #needed: boolean;
  #workingSinceMs = 0;

  /** `needed`: the loop has real-time priority. */
  constructor(needed: boolean) {
    this.#needed = needed;
  }

  /** How long the loop should sleep now, whatever waits for it. */
  dueMs(nowMs: number): number {
    return this.#needed && nowMs - this.#workingSinceMs >= WORK_MS ? BREATH_MS : 0;
  }

  /** The loop slept until `nowMs`. */
  slept(milliseconds: number, nowMs: number): void {
    if (milliseconds >= BREATH_MS / 2) this.#workingSinceMs = nowMs;
  }
}
