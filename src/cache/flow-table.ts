/**
 * Hash table of flows in typed arrays. A flow is named by its slot, a number from 0 to `flowsMax - 1`.
 *
 * A slot is 16 words (64 bytes), enough for all that an IPv4 flow usually says:
 *
 *   word  0      PROTO, 0 while the slot is free
 *         1 2 3  orig source, destination, ports      (IPv6: word 1 names a 64-byte record in `#wide`)
 *         4 5 6  reply source, destination, ports
 *         7-13   HAS, STATUS, TIMEOUT, MARK, INFO, VTAG_ORIG, VTAG_REPLY
 *         14     0, or 1 + the number of the record in `#rare` that holds labels, helper, master, seqadj, synproxy, where
 *                any of their words is not 0: the kernel names a SYNPROXY of zeros for every flow made through ctnetlink
 *         15     hash of the key
 *
 * All arrays are as long as `flowsMax` asks and are made once; the kernel gives memory to a page of them when it is first
 * written, so an idle table costs next to nothing and a growing one never copies (D-001). Full is an answer: -1.
 */
import {
  type Flow,
  familyOf,
  HAS,
  HAS_HELPER,
  HAS_LIBERAL,
  HAS_RARE,
  IPPROTO_TCP,
  l4protoOf,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  RARE_FROM,
  RARE_WORDS,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
} from "../flow/flow.ts";
import type { FlowHash } from "./hash.ts";
import { replyMark } from "./reply-scan.ts";
import { Slab } from "./slab.ts";
import { SlotIndex } from "./slot-index.ts";

const WORDS = 16;
const STATE_WORDS = 7; // HAS … VTAG_REPLY, in the order of `Flow`
const AT_REPLY_PORTS = 6;
const AT_STATE = 7;
const AT_TIMEOUT = 9;
const AT_RARE = 14;
const AT_HASH = 15;

export class FlowTable {
  readonly flowsMax: number;
  /** True if the last `place` stored a flow that was not there. */
  placed = false;
  readonly #hash: FlowHash;
  readonly #index: SlotIndex;
  readonly #slots: Slab;
  readonly #wide: Slab;
  readonly #rare: Slab;

  constructor(flowsMax: number, hash: FlowHash) {
    this.flowsMax = flowsMax;
    this.#hash = hash;
    this.#index = new SlotIndex(flowsMax);
    this.#slots = new Slab(flowsMax, WORDS);
    this.#wide = new Slab(flowsMax, 16);
    this.#rare = new Slab(flowsMax, RARE_WORDS);
  }

  get count(): number {
    return this.#slots.count;
  }

  /** The slot that holds the flow with this key, or -1. */
  find(words: Uint32Array): number {
    this.#walk(words);
    return this.#index.slotAt(this.#place);
  }

  /** The slot of the flow with this key; a new one, written, where it had none (`placed`), or -1 when the table is full. */
  place(words: Uint32Array): number {
    this.#walk(words);
    const known = this.#index.slotAt(this.#place);
    this.placed = known < 0;
    if (known >= 0) return known;
    const slot = this.#slots.take();
    if (slot < 0) return -1;
    this.#index.set(this.#place, this.#hashed, slot);
    const table = this.#slots.words;
    const at = slot * WORDS;
    table[at] = words[PROTO];
    table[at + 3] = words[ORIG_PORTS];
    table[at + AT_RARE] = 0;
    table[at + AT_HASH] = this.#hashed;
    if (familyOf(words[PROTO]) === 6) {
      const wide = this.#wide.take(); // As many as slots, so never full.
      const to = wide * 16;
      for (let i = 0; i < 8; i++) this.#wide.words[to + i] = words[ORIG_SRC + i];
      table[at + 1] = wide;
    } else {
      table[at + 1] = words[ORIG_SRC];
      table[at + 2] = words[ORIG_DST];
    }
    this.write(slot, words);
    return slot;
  }

  /** Replaces everything but the key of the flow in `slot`. */
  write(slot: number, words: Uint32Array): void {
    const table = this.#slots.words;
    const at = slot * WORDS;
    if (familyOf(table[at]) === 6) {
      const to = table[at + 1] * 16 + 8;
      for (let i = 0; i < 8; i++) this.#wide.words[to + i] = words[REPLY_SRC + i];
    } else {
      table[at + 4] = words[REPLY_SRC];
      table[at + 5] = words[REPLY_DST];
    }
    table[at + AT_REPLY_PORTS] = words[REPLY_PORTS];
    for (let i = 0; i < STATE_WORDS; i++) table[at + AT_STATE + i] = words[HAS + i];
    let rare = table[at + AT_RARE];
    if ((words[HAS] & HAS_RARE) !== 0 && anyRare(words)) {
      if (rare === 0) {
        rare = this.#rare.take() + 1;
        table[at + AT_RARE] = rare;
      }
      const to = (rare - 1) * RARE_WORDS;
      for (let i = 0; i < RARE_WORDS; i++) this.#rare.words[to + i] = words[RARE_FROM + i];
    } else if (rare !== 0) {
      this.#rare.give(rare - 1);
      table[at + AT_RARE] = 0;
    }
  }

  /** Unpacks the flow in `slot`; every word of `flow` is set. */
  read(slot: number, flow: Flow): void {
    const words = flow.words;
    const table = this.#slots.words;
    const at = slot * WORDS;
    words.fill(0);
    words[PROTO] = table[at];
    words[ORIG_PORTS] = table[at + 3];
    if (familyOf(table[at]) === 6) {
      const from = table[at + 1] * 16;
      for (let i = 0; i < 8; i++) {
        words[ORIG_SRC + i] = this.#wide.words[from + i];
        words[REPLY_SRC + i] = this.#wide.words[from + 8 + i];
      }
    } else {
      words[ORIG_SRC] = table[at + 1];
      words[ORIG_DST] = table[at + 2];
      words[REPLY_SRC] = table[at + 4];
      words[REPLY_DST] = table[at + 5];
    }
    words[REPLY_PORTS] = table[at + AT_REPLY_PORTS];
    for (let i = 0; i < STATE_WORDS; i++) words[HAS + i] = table[at + AT_STATE + i];
    const rare = table[at + AT_RARE];
    if (rare !== 0) {
      const from = (rare - 1) * RARE_WORDS;
      for (let i = 0; i < RARE_WORDS; i++) words[RARE_FROM + i] = this.#rare.words[from + i];
    }
  }

  /** The first slot of `from` to `end` whose flow has reply ports that are marked, or `end`. */
  nextReply(from: number, end: number, marks: Uint8Array): number {
    const table = this.#slots.words;
    for (let slot = from; slot < end; slot++) {
      const at = slot * WORDS;
      if (marks[replyMark(table[at + AT_REPLY_PORTS])] === 1 && table[at] !== 0) return slot;
    }
    return end;
  }

  /** The reply tuple of the flow in `slot`, where a key has the original one. */
  replyKey(slot: number, key: Uint32Array): void {
    const table = this.#slots.words;
    const at = slot * WORDS;
    key[PROTO] = table[at];
    key[ORIG_PORTS] = table[at + AT_REPLY_PORTS];
    if (familyOf(table[at]) === 6) {
      const reply = table[at + 1] * 16 + 8;
      for (let i = 0; i < 8; i++) key[ORIG_SRC + i] = this.#wide.words[reply + i];
    } else {
      key.fill(0, ORIG_SRC, ORIG_PORTS);
      key[ORIG_SRC] = table[at + 4];
      key[ORIG_DST] = table[at + 5];
    }
  }

  /** Timeout of the flow in `slot` in seconds, 0 when there is none. */
  timeoutOf(slot: number): number {
    return this.#slots.words[slot * WORDS + AT_TIMEOUT];
  }

  /** The first slot from `from` on of a TCP flow without HAS_LIBERAL, or with a helper; or -1. */
  nextStrict(from: number): number {
    const table = this.#slots.words;
    for (let slot = from; slot < this.#slots.end; slot++) {
      const at = slot * WORDS;
      const isLax = (table[at + AT_STATE] & (HAS_LIBERAL | HAS_HELPER)) === HAS_LIBERAL;
      if (!isLax && l4protoOf(table[at]) === IPPROTO_TCP) return slot;
    }
    return -1;
  }

  /** The first slot from `from` on of a flow with a helper, or -1. */
  nextHelped(from: number): number {
    const table = this.#slots.words;
    for (let slot = from; slot < this.#slots.end; slot++) {
      const at = slot * WORDS;
      if ((table[at + AT_STATE] & HAS_HELPER) !== 0 && table[at] !== 0) return slot;
    }
    return -1;
  }

  setLiberal(slot: number, isLiberal: boolean): void {
    const at = slot * WORDS + AT_STATE;
    if (isLiberal) this.#slots.words[at] |= HAS_LIBERAL;
    else this.#slots.words[at] &= ~HAS_LIBERAL;
  }

  remove(slot: number): void {
    const table = this.#slots.words;
    const at = slot * WORDS;
    this.#index.remove(table[at + AT_HASH], slot);
    if (familyOf(table[at]) === 6) this.#wide.give(table[at + 1]);
    if (table[at + AT_RARE] !== 0) this.#rare.give(table[at + AT_RARE] - 1);
    table[at] = 0;
    this.#slots.give(slot);
  }

  /** Removes all at once: a pass over the index, whatever the number of flows. */
  clear(): void {
    this.#index.clear();
    this.#slots.clear();
    this.#wide.clear();
    this.#rare.clear();
  }

  /** One past the highest slot used since the table was empty. */
  get end(): number {
    return this.#slots.end;
  }

  isUsed(slot: number): boolean {
    return slot < this.#slots.end && this.#slots.words[slot * WORDS] !== 0;
  }

  /** The first used slot that is not before `from`, or -1. Flows that are added meanwhile may or may not be met. */
  nextUsed(from: number): number {
    const table = this.#slots.words;
    for (let slot = from; slot < this.#slots.end; slot++) if (table[slot * WORDS] !== 0) return slot;
    return -1;
  }

  /** Where the last walk ended, at the flow or where it would stand, and the hash it went by. */
  #place = 0;
  #hashed = 0;

  #walk(words: Uint32Array): void {
    const index = this.#index;
    const hash = this.#hash.of(words);
    let place = index.home(hash);
    for (let slot = index.slotAt(place); slot >= 0; slot = index.slotAt(place)) {
      if (index.hashAt(place) === hash && this.#sameKey(slot, words)) break;
      place = index.after(place);
    }
    this.#place = place;
    this.#hashed = hash;
  }

  #sameKey(slot: number, words: Uint32Array): boolean {
    const table = this.#slots.words;
    const at = slot * WORDS;
    if (table[at] !== words[PROTO] || table[at + 3] !== words[ORIG_PORTS]) return false;
    if (familyOf(words[PROTO]) !== 6) return table[at + 1] === words[ORIG_SRC] && table[at + 2] === words[ORIG_DST];
    const wide = table[at + 1] * 16;
    for (let i = 0; i < 8; i++) if (this.#wide.words[wide + i] !== words[ORIG_SRC + i]) return false;
    return true;
  }
}

function anyRare(words: Uint32Array): boolean {
  for (let i = RARE_FROM; i < RARE_FROM + RARE_WORDS; i++) if (words[i] !== 0) return true;
  return false;
}
