/**
 * Tuples of packets that the gate has held, for the takeover's commit: what waits in the log's socket, and the last few hundred of
 * those that came before it began. Whoever asks says how many it can do with.
 */
import { KEY_WORDS } from "../flow/flow.ts";

const TUPLES = 256;
/** Read by one `remember` at most: more than a full socket holds. */
const READ_MAX = 4_096;

export interface TupleSource {
  /** The next tuple, into words 0 to 9; false when none waits. */
  next(words: Uint32Array): boolean;
}

export class HeldTuples implements TupleSource {
  readonly #source: TupleSource;
  readonly #ring = new Uint32Array(new ArrayBuffer(TUPLES * KEY_WORDS * 4));
  readonly #read = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));
  #oldest = 0;
  #count = 0;

  constructor(source: TupleSource) {
    this.#source = source;
  }

  /** Empties the socket, so that it has room for what comes when a takeover begins. */
  remember(): void {
    for (let read = 0; read < READ_MAX && this.#source.next(this.#read); read++) {
      const at = (this.#oldest + this.#count) % TUPLES;
      for (let i = 0; i < KEY_WORDS; i++) this.#ring[at * KEY_WORDS + i] = this.#read[i];
      if (this.#count < TUPLES) this.#count++;
      else this.#oldest = (this.#oldest + 1) % TUPLES;
    }
  }

  next(words: Uint32Array): boolean {
    if (this.#count === 0) return this.#source.next(words);
    const from = this.#oldest * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) words[i] = this.#ring[from + i];
    this.#oldest = (this.#oldest + 1) % TUPLES;
    this.#count--;
    return true;
  }
}
