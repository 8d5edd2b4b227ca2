/**
 * Digest of a cache by bucket: what two nodes compare instead of their flows.
 *
 *   group   64 of them: the top 6 bits of a flow's key digest
 *   bucket  4,096, 64 in each group: the top 12 bits
 *
 * Expectations are counted among the flows: their slots follow the flows' (D-007).
 *
 * A slot's place holds the digests of its flow's key and content, two words; 0 for content: not counted. The sum of a bucket is
 * the sum of its contents modulo 2^32, kept up to date by subtracting the old one and adding the new one (D-009). The slots of a
 * bucket are a list, linked both ways by slot + 1, 0 for its ends: so a bucket is found without a look at all others.
 */
import { contentDigest, keyDigest } from "../flow/digest.ts";
import type { Expectation } from "../flow/expectation.ts";
import { expectationDigest, expectationKeyDigest } from "../flow/expectation-digest.ts";

const BUCKETS = 4_096;
const PER_GROUP = 64;
const BUCKET_SHIFT = 20;
/** Flows of one bucket that can be looked at together. */
const SLOTS_MAX = 8_192;

export class Digest {
  readonly #flowsMax: number;
  readonly #pairs: Uint32Array;
  readonly #sums = new Uint32Array(BUCKETS);
  readonly #first = new Uint32Array(BUCKETS);
  readonly #next: Uint32Array;
  readonly #previous: Uint32Array;
  /** Slots whose key digest lies in a range, ordered by it; found by the last `find`. */
  readonly slots = new Uint32Array(SLOTS_MAX);
  #count = 0;
  #end = 0;
  #version = 0;
  #foundVersion = -1;
  #foundFirst = 0;
  #foundLast = 0;
  #found = 0;

  constructor(flowsMax: number, expectationsMax = 0) {
    const slotsMax = flowsMax + expectationsMax;
    this.#flowsMax = flowsMax;
    this.#pairs = new Uint32Array(slotsMax * 2);
    this.#next = new Uint32Array(slotsMax);
    this.#previous = new Uint32Array(slotsMax);
  }

  /** Flows and expectations that are counted. */
  get count(): number {
    return this.#count;
  }

  /** Expectations among them. */
  get expectations(): number {
    let count = 0;
    for (let slot = this.#flowsMax; slot < this.#end; slot++) if (this.has(slot)) count++;
    return count;
  }

  /** The flow in `slot` is `words` now. */
  set(slot: number, words: Uint32Array): void {
    const key = keyDigest(words);
    const content = contentDigest(words, key);
    const pairs = this.#pairs;
    const at = slot * 2;
    const before = pairs[at + 1];
    if (before === content && pairs[at] === key) return;
    const bucket = key >>> BUCKET_SHIFT;
    if (before !== 0 && pairs[at] === key) this.#sums[bucket] -= before;
    else {
      if (before !== 0) this.#take(slot);
      this.#count++;
      this.#link(slot, bucket);
    }
    pairs[at] = key;
    pairs[at + 1] = content;
    this.#sums[bucket] += content;
    if (slot >= this.#end) this.#end = slot + 1;
    this.#version++;
  }

  /** The same of an expectation, of which there are few. */
  setExpectation(slot: number, expectation: Expectation): void {
    if (this.matchesExpectation(slot, expectation)) return;
    this.forget(slot);
    const key = expectationKeyDigest(expectation);
    const content = expectationDigest(expectation, key);
    this.#count++;
    this.#link(slot, bucketOf(key));
    this.#pairs[slot * 2] = key;
    this.#pairs[slot * 2 + 1] = content;
    this.#sums[bucketOf(key)] += content;
    this.#end = Math.max(this.#end, slot + 1);
    this.#version++;
  }

  /** The slot is counted no more. */
  forget(slot: number): void {
    if (this.#pairs[slot * 2 + 1] === 0) return;
    this.#take(slot);
    this.#version++;
  }

  #take(slot: number): void {
    const bucket = this.#pairs[slot * 2] >>> BUCKET_SHIFT;
    this.#sums[bucket] -= this.#pairs[slot * 2 + 1];
    this.#pairs[slot * 2 + 1] = 0;
    this.#count--;
    const next = this.#next[slot];
    const previous = this.#previous[slot];
    if (previous === 0) this.#first[bucket] = next;
    else this.#next[previous - 1] = next;
    if (next !== 0) this.#previous[next - 1] = previous;
  }

  #link(slot: number, bucket: number): void {
    const next = this.#first[bucket];
    this.#next[slot] = next;
    this.#previous[slot] = 0;
    if (next !== 0) this.#previous[next - 1] = slot + 1;
    this.#first[bucket] = slot + 1;
  }

  clear(): void {
    this.#pairs.fill(0, 0, this.#end * 2);
    this.#sums.fill(0);
    this.#first.fill(0);
    this.#count = 0;
    this.#end = 0;
    this.#version++;
  }

  has(slot: number): boolean {
    return this.#pairs[slot * 2 + 1] !== 0;
  }

  keyOf(slot: number): number {
    return this.#pairs[slot * 2];
  }

  contentOf(slot: number): number {
    return this.#pairs[slot * 2 + 1];
  }

  /** True if the slot is counted as what `words` say. */
  matches(slot: number, words: Uint32Array): boolean {
    const key = keyDigest(words);
    return this.keyOf(slot) === key && this.contentOf(slot) === contentDigest(words, key);
  }

  matchesExpectation(slot: number, expectation: Expectation): boolean {
    const key = expectationKeyDigest(expectation);
    return this.keyOf(slot) === key && this.contentOf(slot) === expectationDigest(expectation, key);
  }

  /** Puts the sums of the 64 groups into `into` from `at` on. */
  groupSums(into: Uint32Array, at: number): void {
    for (let group = 0; group < PER_GROUP; group++) {
      let sum = 0;
      // Each bucket's sum is stirred with its place, so that what one has too much another cannot have too little of.
      for (let i = group * PER_GROUP; i < (group + 1) * PER_GROUP; i++)
        sum = Math.imul(sum ^ this.#sums[i], 0x9e3779b1) ^ (sum >>> 13);
      into[at + group] = sum;
    }
  }

  /** Puts the sums of the 64 buckets of a group into `into` from `at` on. */
  bucketSums(group: number, into: Uint32Array, at: number): void {
    for (let i = 0; i < PER_GROUP; i++) into[at + i] = this.#sums[group * PER_GROUP + i];
  }

  /** Finds the counted slots whose key lies from `first` to `last`, both included, of one bucket; -1 when they are too many. */
  find(first: number, last: number): number {
    if (this.#foundVersion === this.#version && this.#foundFirst === first && this.#foundLast === last)
      return this.#found;
    const { slots } = this;
    const pairs = this.#pairs;
    let found = 0;
    for (let at = this.#first[bucketOf(first)]; at !== 0 && found >= 0; at = this.#next[at - 1]) {
      const key = pairs[(at - 1) * 2];
      if (key < first || key > last) continue;
      if (found === SLOTS_MAX) found = -1;
      else slots[found++] = at - 1;
    }
    if (found > 0) slots.subarray(0, found).sort((a, b) => pairs[a * 2] - pairs[b * 2]);
    this.#foundVersion = this.#version;
    this.#foundFirst = first;
    this.#foundLast = last;
    this.#found = found;
    return found;
  }
}

export const firstKeyOf = (bucket: number): number => (bucket << BUCKET_SHIFT) >>> 0;
export const lastKeyOf = (bucket: number): number => (firstKeyOf(bucket) + 2 ** BUCKET_SHIFT - 1) >>> 0;
export const bucketOf = (key: number): number => key >>> BUCKET_SHIFT;
