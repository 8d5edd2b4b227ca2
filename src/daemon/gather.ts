/**
 * When to look for kernel events: at once while they trickle, after a while's worth when they stream.
 *
 * A wake-up costs more than the work it brings: at 5,000 events a second a look for each event costs ten times what the
 * events cost. So above a rate the socket is left alone for part of a millisecond, and one look brings many (D-005).
 */

/** Events a millisecond from which gathering pays; it ends below half of that. */
const BUSY_RATE = 1;
/** How fast the measured rate follows, in milliseconds. */
const MEMORY_MS = 8;

export class Gather {
  readonly #gatherMs: number;
  #rate = 0;
  #lookedMs = 0;
  #busy = false;

  /** `gatherMs`: the longest that an event waits for others; 0 for not at all. */
  constructor(gatherMs: number) {
    this.#gatherMs = gatherMs;
  }

  /** True while events should gather before the next look. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The socket was emptied, of this many events. */
  looked(events: number, nowMs: number): void {
    if (this.#gatherMs === 0) return;
    const elapsedMs = Math.max(nowMs - this.#lookedMs, 0.01);
    this.#lookedMs = nowMs;
    const kept = Math.exp(-elapsedMs / MEMORY_MS);
    this.#rate = this.#rate * kept + (events / elapsedMs) * (1 - kept);
    this.#busy = this.#rate > (this.#busy ? BUSY_RATE / 2 : BUSY_RATE);
  }

  /** When the next look is due while busy. */
  get dueMs(): number {
    return this.#lookedMs + this.#gatherMs;
  }
}
