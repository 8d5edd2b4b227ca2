/**
 * Hash table of flows in typed arrays. A flow is named by its slot, a number from 0 to `flowsMax - 1`.
 *
 * A slot is 16 words (64 bytes), enough for all that an IPv4 flow usually says:
 *
 *   word  0      PROTO, 0 while the slot is free
 *         1 2 3  orig source, destination, ports      (IPv6: word 1 names a 64-byte record in `#wide`)
 *         4 5 6  reply source, destination, ports
 *         7-13   HAS, STATUS, TIMEOUT, MARK, INFO, VTAG_ORIG, VTAG_REPLY
 *         14     0, or 1 + the number of the record in `#rare` that holds labels, helper, master, seqadj, synproxy
 *         15     next slot of the same bucket + 1, 0 at the end
 *
 * All arrays are as long as `flowsMax` asks and are made once; the kernel gives memory to a page of them when it is first
 * written, so an idle table costs next to nothing and a growing one never copies (D-001). Full is an answer: -1.
 */
import {
  type Flow,
  familyOf,
  HAS,
  HAS_RARE,
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
import { Slab } from "./slab.ts";

const WORDS = 16;
const STATE_WORDS = 7; // HAS … VTAG_REPLY, in the order of `Flow`
const AT_REPLY_PORTS = 6;
const AT_STATE = 7;
const AT_RARE = 14;
const AT_NEXT = 15;

export class FlowTable {
  readonly flowsMax: number;
  readonly #hash: FlowHash;
  readonly #buckets: Uint32Array;
  readonly #bucketMask: number;
  readonly #slots: Slab;
  readonly #wide: Slab;
  readonly #rare: Slab;

  constructor(flowsMax: number, hash: FlowHash) {
    this.flowsMax = flowsMax;
    this.#hash = hash;
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(flowsMax, 2)));
    this.#buckets = new Uint32Array(buckets);
    this.#bucketMask = buckets - 1;
    this.#slots = new Slab(flowsMax, WORDS);
    this.#wide = new Slab(flowsMax, 16);
    this.#rare = new Slab(flowsMax, RARE_WORDS);
  }

  get count(): number {
    return this.#slots.count;
  }

  /** The slot that holds the flow with this key, or -1. */
  find(words: Uint32Array): number {
    const table = this.#slots.words;
    const wide = familyOf(words[PROTO]) === 6;
    let next = this.#buckets[this.#hash.of(words) & this.#bucketMask];
    while (next !== 0) {
      const at = (next - 1) * WORDS;
      if (table[at] === words[PROTO] && table[at + 3] === words[ORIG_PORTS]) {
        if (
          wide
            ? this.#sameWideKey(table[at + 1], words)
            : table[at + 1] === words[ORIG_SRC] && table[at + 2] === words[ORIG_DST]
        )
          return next - 1;
      }
      next = table[at + AT_NEXT];
    }
    return -1;
  }

  /** Stores a flow whose key is not in the table; its slot, or -1 when the table is full. */
  insert(words: Uint32Array): number {
    const slot = this.#slots.take();
    if (slot < 0) return -1;
    const table = this.#slots.words;
    const at = slot * WORDS;
    table[at] = words[PROTO];
    table[at + 3] = words[ORIG_PORTS];
    if (familyOf(words[PROTO]) === 6) {
      const wide = this.#wide.take(); // As many as slots, so never full.
      const to = wide * 16;
      for (let i = 0; i < 8; i++) this.#wide.words[to + i] = words[ORIG_SRC + i];
      table[at + 1] = wide;
    } else {
      table[at + 1] = words[ORIG_SRC];
      table[at + 2] = words[ORIG_DST];
    }
    const bucket = this.#hash.of(words) & this.#bucketMask;
    table[at + AT_NEXT] = this.#buckets[bucket];
    this.#buckets[bucket] = slot + 1;
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
    if ((words[HAS] & HAS_RARE) !== 0) {
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

  remove(slot: number): void {
    const table = this.#slots.words;
    const at = slot * WORDS;
    this.#unlink(slot);
    if (familyOf(table[at]) === 6) this.#wide.give(table[at + 1]);
    if (table[at + AT_RARE] !== 0) this.#rare.give(table[at + AT_RARE] - 1);
    table.fill(0, at, at + WORDS);
    this.#slots.give(slot);
  }

  /** One past the highest slot ever used. */
  get end(): number {
    return this.#slots.end;
  }

  isUsed(slot: number): boolean {
    return this.#slots.words[slot * WORDS] !== 0;
  }

  /** The first used slot that is not before `from`, or -1. Flows that are added meanwhile may or may not be met. */
  nextUsed(from: number): number {
    const table = this.#slots.words;
    for (let slot = from; slot < this.#slots.end; slot++) if (table[slot * WORDS] !== 0) return slot;
    return -1;
  }

  #sameWideKey(wide: number, words: Uint32Array): boolean {
    const at = wide * 16;
    for (let i = 0; i < 8; i++) if (this.#wide.words[at + i] !== words[ORIG_SRC + i]) return false;
    return true;
  }

  readonly #key = new Uint32Array(ORIG_PORTS + 1);

  #unlink(slot: number): void {
    const table = this.#slots.words;
    const key = this.#key;
    const at = slot * WORDS;
    key.fill(0);
    key[PROTO] = table[at];
    key[ORIG_PORTS] = table[at + 3];
    if (familyOf(table[at]) === 6) {
      const from = table[at + 1] * 16;
      for (let i = 0; i < 8; i++) key[ORIG_SRC + i] = this.#wide.words[from + i];
    } else {
      key[ORIG_SRC] = table[at + 1];
      key[ORIG_DST] = table[at + 2];
    }
    const bucket = this.#hash.of(key) & this.#bucketMask;
    const after = table[at + AT_NEXT];
    let next = this.#buckets[bucket];
    if (next === slot + 1) {
      this.#buckets[bucket] = after;
      return;
    }
    while (next !== 0) {
      const here = (next - 1) * WORDS + AT_NEXT;
      next = table[here];
      if (next === slot + 1) {
        table[here] = after;
        return;
      }
    }
  }
}
