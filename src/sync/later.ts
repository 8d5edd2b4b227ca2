/**
 * Flows that the peer has still to be told of, and that can wait for whatever changes meanwhile: what stood in the kernel when this
 * node took over (D-013). First in, first out; a flow waits once, and one that changes leaves for the transmit queue.
 */
import { WordQueue } from "./queue.ts";

const LISTED = 1;
const WAITS = 2;

export class Later {
  /** Flows that wait. */
  count = 0;
  readonly #state: Uint8Array;
  /** Slots of flows that wait, or did: each once. */
  readonly #list: WordQueue;

  constructor(slotsMax: number) {
    this.#state = new Uint8Array(slotsMax);
    this.#list = new WordQueue(slotsMax);
  }

  /** Position that the next flow will have. */
  get end(): number {
    return this.#list.end;
  }

  /** True when all before `position` has left. What has gone another way may stand in the list still. */
  passed(position: number): boolean {
    return this.count === 0 || this.#list.passed(position);
  }

  waits(slot: number): boolean {
    return (this.#state[slot] & WAITS) !== 0;
  }

  put(slot: number): void {
    const state = this.#state[slot];
    if ((state & WAITS) === 0) this.count++;
    if ((state & LISTED) === 0) this.#list.push(slot); // Never full: a slot is in it at most once.
    this.#state[slot] = LISTED | WAITS;
  }

  /** The flow in `slot` waits here no more. */
  take(slot: number): void {
    if (!this.waits(slot)) return;
    this.#state[slot] &= ~WAITS;
    this.count--;
  }

  /** The next flow that waits, which it does no more; -1: none does. */
  next(): number {
    while (this.#list.length > 0) {
      const slot = this.#list.shift();
      const waited = this.waits(slot);
      this.take(slot);
      this.#state[slot] = 0;
      if (waited) return slot;
    }
    return -1;
  }

  /** Forgets the slots that `keep` refuses. */
  retain(keep: (slot: number) => boolean): void {
    for (let left = this.#list.length; left > 0; left--) {
      const slot = this.#list.shift();
      const stays = this.waits(slot) && keep(slot);
      this.take(slot);
      this.#state[slot] = 0;
      if (stays) this.put(slot);
    }
  }
}
