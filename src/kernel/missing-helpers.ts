/**
 * Names of helpers this kernel does not have. Each request for one makes it look for a module, which costs far more
 * than the flow itself, so a name is asked for once.
 */
import { HELPER } from "../flow/flow.ts";

const NAMES_MAX = 32;

export class MissingHelpers {
  /** Four words a name, as in a flow. */
  readonly #names = new Uint32Array(NAMES_MAX * 4);
  #count = 0;

  has(words: Uint32Array): boolean {
    for (let at = 0; at < this.#count * 4; at += 4) {
      if (
        this.#names[at] === words[HELPER] &&
        this.#names[at + 1] === words[HELPER + 1] &&
        this.#names[at + 2] === words[HELPER + 2] &&
        this.#names[at + 3] === words[HELPER + 3]
      )
        return true;
    }
    return false;
  }

  /** More names than there is room for are asked for each time. */
  add(words: Uint32Array): void {
    if (this.#count === NAMES_MAX || this.has(words)) return;
    for (let i = 0; i < 4; i++) this.#names[this.#count * 4 + i] = words[HELPER + i];
    this.#count++;
  }

  forget(): void {
    this.#count = 0;
  }
}
