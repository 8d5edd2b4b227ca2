/** Tuples in the order they came, each once: the packets of one busy connection do not push out those of the others. */
import { KEY_WORDS, ORIG_PORTS } from "../flow/flow.ts";

export class TupleRing {
  count = 0;
  readonly #words: Uint32Array;
  readonly #tuplesMax: number;
  #oldest = 0;

  constructor(tuplesMax: number) {
    this.#tuplesMax = tuplesMax;
    this.#words = new Uint32Array(new ArrayBuffer(tuplesMax * KEY_WORDS * 4));
  }

  get isFull(): boolean {
    return this.count === this.#tuplesMax;
  }

  /** Where it is full, the oldest leaves. */
  add(tuple: Uint32Array): void {
    for (let i = 0; i < this.count; i++) if (this.#is(this.#place(i), tuple)) return;
    const to = this.#place(this.count);
    for (let i = 0; i < KEY_WORDS; i++) this.#words[to + i] = tuple[i];
    if (this.isFull) this.#oldest = (this.#oldest + 1) % this.#tuplesMax;
    else this.count++;
  }

  /** Takes the oldest out; false when there is none. */
  shift(tuple: Uint32Array): boolean {
    if (this.count === 0) return false;
    const from = this.#place(0);
    for (let i = 0; i < KEY_WORDS; i++) tuple[i] = this.#words[from + i];
    this.#oldest = (this.#oldest + 1) % this.#tuplesMax;
    this.count--;
    return true;
  }

  clear(): void {
    this.count = 0;
  }

  #place(i: number): number {
    return ((this.#oldest + i) % this.#tuplesMax) * KEY_WORDS;
  }

  /** Ports differ most, and are looked at first. */
  #is(at: number, tuple: Uint32Array): boolean {
    for (let i = ORIG_PORTS; i >= 0; i--) if (this.#words[at + i] !== tuple[i]) return false;
    return true;
  }
}
