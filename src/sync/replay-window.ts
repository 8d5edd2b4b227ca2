/**
 * Which of the peer's counters have been used already: everything above the highest is new, of the `WINDOW` below it each
 * has a bit, and what lies further back is too old to tell, so it is refused.
 *
 * A ring of 32-bit words, a bit a counter. Words that the highest counter passes are cleared, and one word is never in use
 * as a whole, so that clearing it forgets nothing inside the window.
 */
const WORDS = 256;
const BITS = 32;

/** Counters behind the highest one that are still told apart. */
export const WINDOW = (WORDS - 1) * BITS;

export type Freshness = "fresh" | "replayed" | "tooOld";

export class ReplayWindow {
  readonly #bits = new Uint32Array(WORDS);
  /** -1: none was seen. */
  #highest = -1;

  /** Judges without remembering: what is not authentic must leave no trace. */
  judge(counter: number): Freshness {
    if (counter > this.#highest) return "fresh";
    if (this.#highest - counter >= WINDOW) return "tooOld";
    return (this.#bits[wordOf(counter)] & bitOf(counter)) === 0 ? "fresh" : "replayed";
  }

  /** Remembers a counter that `judge` called fresh, of a datagram that proved authentic. */
  mark(counter: number): void {
    if (counter > this.#highest) {
      const passed = Math.floor(counter / BITS) - Math.floor(this.#highest / BITS);
      const clear = Math.min(passed, WORDS);
      for (let i = 0; i < clear; i++) this.#bits[wordOf(counter - i * BITS)] = 0;
      this.#highest = counter;
    }
    this.#bits[wordOf(counter)] |= bitOf(counter);
  }

  /** Another session of the peer begins. */
  reset(): void {
    this.#bits.fill(0);
    this.#highest = -1;
  }
}

const wordOf = (counter: number): number => Math.floor(counter / BITS) % WORDS;
const bitOf = (counter: number): number => 1 << (counter % BITS);
