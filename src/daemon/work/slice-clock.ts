/**
 * Cuts a walk over many slots by the time it takes. What one costs differs a hundredfold: a walk that is run for the first time
 * is interpreted, and most of the slots may be passed over.
 */
import { monotonicMs } from "../clock.ts";
import { SLICE_MS } from "../jobs.ts";

const STEPS_PER_LOOK = 64;

export class SliceClock {
  readonly #clock: () => number;
  #steps = STEPS_PER_LOOK;
  #endMs: number;

  constructor(clock: () => number = monotonicMs) {
    this.#clock = clock;
    this.#endMs = clock() + SLICE_MS;
  }

  /** Asked at each step: whether the slice is over. Whoever yields then calls `begin` when it goes on. */
  isOver(): boolean {
    if (--this.#steps > 0) return false;
    this.#steps = STEPS_PER_LOOK;
    return this.#clock() >= this.#endMs;
  }

  begin(): void {
    this.#steps = STEPS_PER_LOOK;
    this.#endMs = this.#clock() + SLICE_MS;
  }
}
