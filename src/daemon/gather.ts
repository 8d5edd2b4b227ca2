/**
 * When to look for kernel events: at once while they trickle, after a while's worth when they stream.
 *
 * A wake-up costs more than the work it brings, some fifty events' worth. So above a rate the socket is left alone until
 * about a datagram's worth of events has come, for part of a millisecond at least, and one look brings them all (D-005).
 */

/** Events a millisecond from which gathering pays; it ends below half of that. */
const BUSY_RATE = 1;
/** How fast the measured rate follows, in milliseconds. */
const MEMORY_MS = 8;
/** What is gathered fills a datagram about. */
const EVENTS_WANTED = 14;
/** No shorter, however many come: below that the wake-ups cost more than they bring. */
const GATHER_MS_LEAST = 0.7;

export class Gather {
  readonly #mostMs: number;
  #rate = 0;
  #lookedMs = 0;
  #busy = false;

  /** `mostMs`: the longest that an event waits for others; 0 for not at all. */
  constructor(mostMs: number) {
    this.#mostMs = mostMs;
  }

  /** True while events should gather before the next look. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The socket was emptied, of this many events. */
  looked(events: number, nowMs: number): void {
    if (this.#mostMs === 0) return;
    const elapsedMs = Math.max(nowMs - this.#lookedMs, 0.01);
    this.#lookedMs = nowMs;
    const kept = Math.exp(-elapsedMs / MEMORY_MS);
    this.#rate = this.#rate * kept + (events / elapsedMs) * (1 - kept);
    this.#busy = this.#rate > (this.#busy ? BUSY_RATE / 2 : BUSY_RATE);
  }

  /** When the next look is due while busy. */
  get dueMs(): number {
    return this.#lookedMs + Math.min(Math.max(EVENTS_WANTED / this.#rate, GATHER_MS_LEAST), this.#mostMs);
  }
}
