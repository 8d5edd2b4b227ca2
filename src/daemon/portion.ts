/**
 * How many of a kind are taken from a socket at once, so that what was taken is worked off within a bounded time.
 *
 * What one costs differs a hundredfold: a daemon that has just started interprets what it will soon have compiled.
 */

/** A portion that took longer is halved, one that took a quarter of this is doubled. */
const PORTION_MS = 1;

export class Portion {
  readonly #least: number;
  readonly #most: number;
  #size: number;

  /** `least` is where it starts, and never goes below. */
  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = most;
    this.#size = least;
  }

  get size(): number {
    return this.#size;
  }

  /** `count` were worked off. */
  took(count: number, milliseconds: number): void {
    if (milliseconds > PORTION_MS) this.#size = Math.max(this.#least, this.#size >> 1);
    else if (count === this.#size && milliseconds < PORTION_MS / 4) this.#size = Math.min(this.#most, this.#size * 2);
  }
}
