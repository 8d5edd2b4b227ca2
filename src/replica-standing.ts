/**
 * What our kernel shows of the flows that a peer announces, so that a dump tells what a lost event would have: that one of them
 * has moved here since. Of each slot of the external cache there is
 *
 *   0         our kernel does not have the flow, as far as is known
 *   STANDS    it has it; what it showed of it does not count: our own doing may have changed it since
 *   a digest  of what the entry said when a dump showed it last (`entryDigest`)
 *
 * Since the last whole reading, if nothing was `forget`ten after its beginning, whatever stands in our kernel was shown by a reading or
 * told by an event. An entry that neither cache has standing there then has begun here since, and nobody told us.
 */
import { entryDigest } from "./flow/digest.ts";
import { STATUS } from "./flow/flow.ts";
import { IPS_DYING, IPS_HW_OFFLOAD, IPS_OFFLOAD } from "./flow/status.ts";

const STANDS = 1;
/** The kernel changes such an entry by itself, without a packet. */
const UNSTEADY = IPS_DYING | IPS_OFFLOAD | IPS_HW_OFFLOAD;

export class Standing {
  readonly #seen: Uint32Array;
  /** Where a digest is, how often we had written into our kernel then: after one more it is worth no more than STANDS. */
  readonly #seenAt: Uint16Array;
  #writes = 1;
  /** Flows of the external cache that stand here too. */
  count = 0;
  /** Times that something was forgotten: a reading that began before tells nothing of what began since. */
  generation = 0;
  #isKnown = false;

  constructor(slots: number) {
    this.#seen = new Uint32Array(slots);
    this.#seenAt = new Uint16Array(slots);
  }

  stands(slot: number): boolean {
    return this.#seen[slot] !== 0;
  }

  /** Whether the entry has begun or changed here since our kernel showed it last. `slot`: of the external cache; -1: none. */
  hasMoved(slot: number, entry: Uint32Array): boolean {
    const seen = slot < 0 ? 0 : this.#seen[slot];
    if (seen === 0) return this.#isKnown;
    return (
      seen !== STANDS &&
      this.#seenAt[slot] === this.#writes &&
      (entry[STATUS] & UNSTEADY) === 0 &&
      seen !== entryDigest(entry)
    );
  }

  /** Our kernel shows the entry, which stays the peer's. */
  show(slot: number, entry: Uint32Array): void {
    this.put(slot);
    if ((entry[STATUS] & UNSTEADY) !== 0) return;
    this.#seen[slot] = entryDigest(entry);
    this.#seenAt[slot] = this.#writes;
  }

  /** The flow in `slot` stands in our kernel. */
  put(slot: number): void {
    if (this.#seen[slot] === 0) this.count++;
    this.#seen[slot] = STANDS;
  }

  /** It does not, or it is ours now. */
  leave(slot: number): void {
    if (this.#seen[slot] === 0) return;
    this.#seen[slot] = 0;
    this.count--;
  }

  /** The external cache was emptied. */
  clear(): void {
    this.#seen.fill(0);
    this.count = 0;
    this.forget();
  }

  /** Something stands in our kernel that neither cache has. */
  forget(): void {
    this.generation++;
    this.#isKnown = false;
  }

  /** We wrote into our kernel, or are about to. */
  wrote(): void {
    this.forget();
    this.#writes = (this.#writes % 0xffff) + 1;
    if (this.#writes === 1) this.#seenAt.fill(0); // No digest is of write number 0.
  }

  /** The whole of our kernel's table was read, and nothing was found no room for. */
  wasRead(generation: number): void {
    if (generation === this.generation) this.#isKnown = true;
  }
}
