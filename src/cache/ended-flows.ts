/**
 * Flows that ended in our kernel of late, so that what a second primary still announces of them is not taken on.
 *
 * Two nodes that are primary at once hold the same flows, as the later one committed them. One that ends here stands there
 * until its timer runs out, and the other node, which has seen no packet of it, cannot know. Kept are the hashes of what
 * ended in the last one to two `turn`s; while nobody turns, all that ended since. Past FLOWS_MAX every flow counts as ended:
 * what is not taken on may end a connection, what is taken on by mistake stays in the kernel for days.
 */
import type { FlowHash } from "./hash.ts";

const FLOWS_MAX = 262_144;

export class EndedFlows {
  readonly #hash: FlowHash;
  #now = new Set<number>();
  #before = new Set<number>();

  constructor(hash: FlowHash) {
    this.#hash = hash;
  }

  note(words: Uint32Array): void {
    if (this.#now.size < FLOWS_MAX) this.#now.add(this.#hash.of(words));
  }

  /** What ended before the last turn is forgotten. */
  turn(): void {
    const oldest = this.#before;
    oldest.clear();
    this.#before = this.#now;
    this.#now = oldest;
  }

  has(words: Uint32Array): boolean {
    if (this.#now.size === FLOWS_MAX || this.#before.size === FLOWS_MAX) return true;
    const hash = this.#hash.of(words);
    return this.#now.has(hash) || this.#before.has(hash);
  }
}
