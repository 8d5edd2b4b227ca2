/**
 * How long the loop did not look at the world: from waking up until it sleeps again. What replication waits for at most.
 * Counted once the kernel's table has been read for the first time.
 */
const MINUTE_MS = 60_000;

export class Pauses {
  /** Turns of the loop. */
  turns = 0;
  /** Since the start. */
  longestMs = 0;
  #minute = 0;
  #thisMinuteMs = 0;
  #lastMinuteMs = 0;

  paused(milliseconds: number, nowMs: number): void {
    this.turns++;
    if (milliseconds > this.longestMs) this.longestMs = milliseconds;
    this.#turnOver(nowMs);
    if (milliseconds > this.#thisMinuteMs) this.#thisMinuteMs = milliseconds;
  }

  /** Of the last one to two minutes. */
  recentMs(nowMs: number): number {
    this.#turnOver(nowMs);
    return Math.max(this.#thisMinuteMs, this.#lastMinuteMs);
  }

  #turnOver(nowMs: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#lastMinuteMs = minute === this.#minute + 1 ? this.#thisMinuteMs : 0;
    this.#thisMinuteMs = 0;
    this.#minute = minute;
  }
}
