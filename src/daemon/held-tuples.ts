/**
 * Tuples of packets that the gate has held, for the takeover's commit: what waits in the log's socket, and the last few hundred of
 * those that came before it began. Whoever asks says how many it can do with.
 */
import { KEY_WORDS } from "../flow/flow.ts";
import { TupleRing } from "./tuple-ring.ts";

const TUPLES = 256;
/** Read by one `remember` at most: more than a full socket holds. */
const READ_MAX = 4_096;

export interface TupleSource {
  /** The next tuple, into words 0 to 9; false when none waits. */
  next(words: Uint32Array): boolean;
}

export class HeldTuples implements TupleSource {
  readonly #source: TupleSource;
  readonly #ring = new TupleRing(TUPLES);
  readonly #read = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));

  constructor(source: TupleSource) {
    this.#source = source;
  }

  /** Empties the socket, so that it has room for what comes when a takeover begins. */
  remember(): void {
    for (let read = 0; read < READ_MAX && this.#source.next(this.#read); read++) this.#ring.add(this.#read);
  }

  next(words: Uint32Array): boolean {
    return this.#ring.shift(words) || this.#source.next(words);
  }
}
