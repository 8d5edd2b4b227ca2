/**
 * Which slot holds the flow with a reply tuple, of those whose reply tuple is not the mirror of the original one: those that
 * are translated. For the length of a takeover; nobody keeps it current, so what it finds is looked at once more.
 *
 *   while (!index.isWhole) index.build(slots)      goes on with so many slots
 *   slot = index.find(tuple)                       -1: none among those it has looked at
 */
import { KEY_WORDS } from "../flow/flow.ts";
import type { FlowTable } from "./flow-table.ts";
import type { FlowHash } from "./hash.ts";
import { SlotIndex } from "./slot-index.ts";

/** Room for flows that come while it is built. */
const MORE_FLOWS = 1_024;

export class ReplyIndex {
  readonly #table: FlowTable;
  readonly #hash: FlowHash;
  readonly #index: SlotIndex;
  readonly #key = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));
  #room: number;
  #from = 0;

  constructor(table: FlowTable, hash: FlowHash) {
    this.#table = table;
    this.#hash = hash;
    this.#room = table.count + MORE_FLOWS;
    this.#index = new SlotIndex(this.#room);
  }

  /** Every slot that was in use so far has been looked at. */
  get isWhole(): boolean {
    return this.#from >= this.#table.end || this.#room === 0;
  }

  build(slots: number): void {
    const end = Math.min(this.#from + slots, this.#table.end);
    while (this.#from < end && this.#room > 0) {
      const slot = this.#from++;
      if (!this.#table.replyKey(slot, this.#key)) continue;
      const hash = this.#hash.of(this.#key);
      let place = this.#index.home(hash);
      while (this.#index.slotAt(place) >= 0) place = this.#index.after(place);
      this.#index.set(place, hash, slot);
      this.#room--;
    }
  }

  /** The tuple is in words 0 to 9, as an original one would be. */
  find(tuple: Uint32Array): number {
    const hash = this.#hash.of(tuple);
    let place = this.#index.home(hash);
    for (let slot = this.#index.slotAt(place); slot >= 0; slot = this.#index.slotAt(place)) {
      if (this.#index.hashAt(place) === hash && this.#table.replyKey(slot, this.#key) && this.#isKey(tuple))
        return slot;
      place = this.#index.after(place);
    }
    return -1;
  }

  #isKey(tuple: Uint32Array): boolean {
    for (let i = 0; i < KEY_WORDS; i++) if (this.#key[i] !== tuple[i]) return false;
    return true;
  }
}
