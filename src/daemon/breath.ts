/**
 * Room for others while the loop works at real-time priority.
 *
 * Ordinary processes that the loop keeps from running for 0.95 of a second are given 50 ms at a stretch by the kernel (its
 * "fair server"), in which the loop stands still. So whatever it works is noted as a debt of sleep, and what it sleeps by
 * itself pays for it. Where that is not enough, after some tenths of a second of nothing but work, it sleeps briefly and
 * often: by the end of that second the others have had what they are entitled to (D-008).
 */
const SLEEP_PART = 0.1;
/** 0.4 s of work are free after a rest: a drained burst, a commit of 100,000 flows. */
const CREDIT_MS = 40;
/** A sleep while something waits: as long as the turns make it. */
const BREATH_MS_MIN = 0.7;
const BREATH_MS_MAX = 2;

export class Breath {
  #debtMs = -CREDIT_MS;

  /** How long the loop should sleep now, whatever waits for it. */
  get dueMs(): number {
    return this.#debtMs >= BREATH_MS_MIN ? Math.min(this.#debtMs, BREATH_MS_MAX) : 0;
  }

  worked(milliseconds: number): void {
    this.#debtMs += milliseconds * SLEEP_PART;
  }

  slept(milliseconds: number): void {
    this.#debtMs = Math.max(-CREDIT_MS, this.#debtMs - milliseconds);
  }
}
