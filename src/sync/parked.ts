/**
 * Questions (RESYNC, NACK) whose acknowledgement takes longer than the resend ring remembers, because the peer holds it back
 * until it has answered: sequence number, flags and range of each. Many only on a link that answers nothing for long.
 */
import { isBefore } from "./serial.ts";

const PARKED_MAX = 1_024;

export class Parked {
  readonly #seqs = new Uint32Array(PARKED_MAX);
  readonly #elements = new Uint32Array(PARKED_MAX);
  readonly #froms = new Uint32Array(PARKED_MAX);
  readonly #tos = new Uint32Array(PARKED_MAX);
  #count = 0;
  /** Range of the question that was taken last. */
  from = 0;
  to = 0;

  get count(): number {
    return this.#count;
  }

  /** False when there is no room. */
  park(seq: number, element: number, from: number, to: number): boolean {
    if (this.#count === PARKED_MAX) return false;
    this.#seqs[this.#count] = seq;
    this.#elements[this.#count] = element;
    this.#froms[this.#count] = from;
    this.#tos[this.#count] = to;
    this.#count++;
    return true;
  }

  /** Takes out one question with a number from `first` to `last`; 0 when there is none. */
  takeWithin(first: number, last: number): number {
    for (let i = 0; i < this.#count; i++) {
      if (isBefore(this.#seqs[i], first) || isBefore(last, this.#seqs[i])) continue;
      return this.#takeAt(i);
    }
    return 0;
  }

  /** Takes out one question, whichever; 0 when there is none. */
  take(): number {
    return this.#count === 0 ? 0 : this.#takeAt(this.#count - 1);
  }

  #takeAt(i: number): number {
    const element = this.#elements[i];
    this.from = this.#froms[i];
    this.to = this.#tos[i];
    this.#count--;
    this.#seqs[i] = this.#seqs[this.#count];
    this.#elements[i] = this.#elements[this.#count];
    this.#froms[i] = this.#froms[this.#count];
    this.#tos[i] = this.#tos[this.#count];
    return element;
  }
}
