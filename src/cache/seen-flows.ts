/**
 * Flows that our kernel was the last to see, as far as anybody knows, and that are not ours any more: they ended here, or a peer
 * claims them that cannot have known what moved here. A node that was primary beside another one takes none of these on.
 *
 * Two such nodes hold the same flows, as the later one committed them. One that ends here may stand there until its timer runs
 * out. Kept is the hash of each flow that was noted in the last one to two `turn`s, and the claim that a peer must exceed to have
 * seen the flow later; while nobody turns, all since.
 *
 * Past FLOWS_MAX every flow counts as seen here: what is not taken on may end a connection, what is taken on by mistake stays
 * in the kernel for days.
 */
import type { FlowHash } from "./hash.ts";

const FLOWS_MAX = 262_144;

export class SeenFlows {
  readonly #hash: FlowHash;
  #now = new Map<number, number>();
  #before = new Map<number, number>();
  /** Some of these found no room: `claimed` makes room, but does not bring them back. */
  #isNowShort = false;
  #isBeforeShort = false;

  constructor(hash: FlowHash) {
    this.#hash = hash;
  }

  note(words: Uint32Array, claim: number): void {
    if (this.#now.size < FLOWS_MAX) this.#now.set(this.#hash.of(words), claim);
    else this.#isNowShort = true;
  }

  /** What was noted before the last turn is forgotten. */
  turn(): void {
    const oldest = this.#before;
    oldest.clear();
    this.#before = this.#now;
    this.#now = oldest;
    this.#isBeforeShort = this.#isNowShort;
    this.#isNowShort = false;
  }

  /** A peer claims to have seen the flow. It knew what was noted up to the claim `known`. */
  claimed(words: Uint32Array, claim: number, known: number): void {
    if (this.#now.size + this.#before.size === 0) return;
    const hash = this.#hash.of(words);
    for (const flows of [this.#now, this.#before]) {
      const ours = flows.get(hash);
      if (ours !== undefined && claim > ours && ours <= known) flows.delete(hash);
    }
  }

  has(words: Uint32Array): boolean {
    if (this.#isNowShort || this.#isBeforeShort) return true;
    const hash = this.#hash.of(words);
    return this.#now.has(hash) || this.#before.has(hash);
  }
}
