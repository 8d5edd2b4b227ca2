/**
 * Acknowledgements that wait until what the acknowledged message asked for has been sent: a few at most, each with the
 * position of the transmit queue that must have left, and whether a bulk must have ended.
 */
import type { WordQueue } from "./queue.ts";

const HELD_MAX = 16;

export class HeldAcks {
  readonly #seqs = new Uint32Array(HELD_MAX);
  readonly #positions = new Float64Array(HELD_MAX);
  readonly #forBulk = new Uint8Array(HELD_MAX);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** False when there is no room: the acknowledgement then goes out early, as it would without us. */
  hold(seq: number, position: number, forBulk: boolean): boolean {
    if (this.#count === HELD_MAX) return false;
    this.#seqs[this.#count] = seq;
    this.#positions[this.#count] = position;
    this.#forBulk[this.#count] = forBulk ? 1 : 0;
    this.#count++;
    return true;
  }

  /** A number that may be acknowledged now, or -1. */
  release(data: WordQueue, bulkRunning: boolean): number {
    for (let i = 0; i < this.#count; i++) {
      if ((this.#forBulk[i] && bulkRunning) || !data.passed(this.#positions[i])) continue;
      const seq = this.#seqs[i];
      this.#count--;
      this.#seqs[i] = this.#seqs[this.#count];
      this.#positions[i] = this.#positions[this.#count];
      this.#forBulk[i] = this.#forBulk[this.#count];
      return seq;
    }
    return -1;
  }

  /** The transmit queue was put together anew and ends at `position`: all of it counts as part of each answer. */
  defer(position: number): void {
    this.#positions.fill(position, 0, this.#count);
  }

  clear(): void {
    this.#count = 0;
  }
}
