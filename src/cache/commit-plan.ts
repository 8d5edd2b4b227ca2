/**
 * The order in which the external cache is committed: what hurts most if it comes late goes first, and a master before
 * the flows related to it, since the kernel refuses a flow whose master it does not know.
 *
 *   pass 0  assured flows without a master (established TCP among them)
 *   pass 1  the other flows without a master
 *   pass 2  related flows
 *
 * Slots are named one at a time, so a commit can stop after any of them and go on later. A flow that a peer changes meanwhile
 * may belong to another pass than it was left to: it is named by that one, or by the next that comes by.
 */
import { type Flow, HAS, HAS_MASTER, STATUS } from "../flow/flow.ts";
import { IPS_ASSURED } from "../flow/status.ts";
import type { ExternalCache } from "./external.ts";

const PASSES = 3;
/** `next` found none among so many slots, and has more to look at. */
export const LOOK_ON = -2;
const SLOTS_AT_ONCE = 256;

export class CommitPlan {
  readonly #cache: ExternalCache;
  #pass = 0;
  #from = 0;
  /** Of each pass, the first slot that an earlier one left to it: there it begins, or not at all. */
  readonly #first = new Int32Array(PASSES).fill(-1);
  /** 1: the slot was named. */
  readonly #named: Uint8Array;

  constructor(cache: ExternalCache) {
    this.#cache = cache;
    this.#named = new Uint8Array(cache.flowsMax);
  }

  /** The flow in `slot` is committed out of turn; false where it was named before. It is not named any more. */
  take(slot: number): boolean {
    if (this.#named[slot] === 1) return false;
    this.#named[slot] = 1;
    return true;
  }

  /** The next slot, its flow unpacked into `flow`; LOOK_ON where it is to be asked again, -1 at the end. */
  next(flow: Flow, nowMs: number): number {
    for (let looked = 0; this.#pass < PASSES; looked++) {
      if (looked === SLOTS_AT_ONCE) return LOOK_ON;
      if (this.#from < 0 || this.#from >= this.#cache.slotsEnd) {
        this.#pass++;
        this.#from = this.#first[this.#pass] ?? -1;
        continue;
      }
      const slot = this.#from++;
      if (this.#named[slot] === 1 || !this.#cache.isUsed(slot)) continue;
      this.#cache.read(slot, flow, nowMs);
      const pass = passOf(flow.words);
      if (pass <= this.#pass) {
        this.#named[slot] = 1;
        return slot;
      }
      if (this.#first[pass] < 0 || slot < this.#first[pass]) this.#first[pass] = slot;
    }
    return -1;
  }
}

function passOf(words: Uint32Array): number {
  if ((words[HAS] & HAS_MASTER) !== 0) return 2;
  return (words[STATUS] & IPS_ASSURED) !== 0 ? 0 : 1;
}
