/**
 * Before which number is overdue what the peer neither acknowledged nor named as missing: it accepts the first message it hears
 * whatever its number, so what was lost, or overtaken, before that is never asked for.
 *
 *   byOldest  once the oldest message has been the same for so long: before the newest range acknowledged. But from a full
 *             ring each new message pushes the oldest one out: that another one is the oldest then is no word of the
 *             peer, and what `ofAge` says counts
 *   ofAge     every so often: before what was the newest range acknowledged the time before, whichever message is the oldest
 */
import { isBefore } from "./serial.ts";

/** A message that is older than others the peer acknowledged, and stays so for this long, never reached it. */
export const OVERDUE_MS = 3_000;

export class Overdue {
  /** Where the newest range acknowledged began; and where that was when `ofAge` looked last. */
  #ackedFrom: number;
  #passed: number;
  #passedSinceMs = 0;
  #oldest = 0;
  #oldestSinceMs = 0;
  #ringWasFull = false;

  constructor(firstSeq: number) {
    this.#ackedFrom = firstSeq;
    this.#passed = firstSeq;
  }

  /** A range from this number on was acknowledged; `end` is the next number to be sent. */
  acknowledged(from: number, end: number): void {
    if (isBefore(this.#ackedFrom, from) && isBefore(from, end)) this.#ackedFrom = from;
  }

  /** A message that was not acknowledged left the ring for want of room. */
  pushedOut(): void {
    this.#ringWasFull = true;
  }

  /** `oldest` when nothing is overdue. */
  byOldest(oldest: number, nowMs: number): number {
    const wasFull = this.#ringWasFull;
    const aged = this.ofAge(oldest, nowMs);
    if (oldest !== this.#oldest) {
      this.#oldest = oldest;
      this.#oldestSinceMs = nowMs;
    }
    if (nowMs - this.#oldestSinceMs < OVERDUE_MS) return wasFull ? aged : oldest;
    this.#oldestSinceMs = nowMs;
    return this.#ackedFrom;
  }

  /** `oldest` when nothing is overdue. */
  ofAge(oldest: number, nowMs: number): number {
    if (nowMs - this.#passedSinceMs < OVERDUE_MS) return oldest;
    const passed = this.#passed;
    this.#passedSinceMs = nowMs;
    this.#passed = this.#ackedFrom;
    this.#ringWasFull = false;
    return passed;
  }
}
