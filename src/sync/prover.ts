/**
 * The telling side of anti-entropy: says what the peer must have by now, and proves it or mends it.
 *
 *   SUMS of groups →  VERDICT, ASK for groups  ← peer
 *   SUMS of buckets → ASK for buckets          ←
 *   LISTs of flows →  WANT some of them        ←    those are sent again, as new
 *
 * All of it speaks of what was *told*: the digest of the flows as they were last sent, whatever waits to be sent. So a proof needs
 * no pause in the traffic; that nothing on the way spoils the comparison, `unsettledFrom` says (D-006). The next round comes a
 * second after an equal one, sooner after a difference, later while differences do not become fewer.
 */
import { bucketOf, type Digest, firstKeyOf, lastKeyOf } from "../cache/digest.ts";
import {
  AT_ADDRESSEE,
  AT_CHOSEN,
  AT_COMPARED,
  AT_FIRST_KEY,
  AT_FROM_EPOCH,
  AT_KEYS,
  AT_KNOWN,
  AT_LAST_KEY,
  AT_LEFT,
  AT_PAIRS,
  AT_SUMS,
  AT_TO_EPOCH,
  AT_TOLD,
  AT_UNSETTLED,
  EXT_ASK,
  EXT_LIST,
  EXT_SUMS,
  EXT_VERDICT,
  EXT_WANT,
  type ExtensionMessage,
  LIST_PAIRS_MAX,
  SUMS,
} from "../wire/extension.ts";
import type { Proof } from "./proof.ts";
import type { ExtensionPort } from "./session.ts";

const ROUND_MS = 1_000;
const DIFFERING_ROUND_MS = 250;
const HOPELESS_ROUND_MS = 8_000;

export class Prover {
  readonly #told: Digest;
  readonly #port: ExtensionPort;
  readonly #resend: (slot: number) => void;
  #dueMs = 0;
  /** There may be an answer to give. */
  #asked = false;
  /** Groups asked for (2 words), buckets asked for (2 words for each group). */
  readonly #groups = new Uint32Array(2);
  readonly #buckets = new Uint32Array(2 * SUMS);
  /** The bucket that is being listed: where its next list begins, where what was looked at ends, where the bucket does. */
  #listing = false;
  #from = 0;
  #last = 0;
  #bucketEnd = 0;
  /** The comparison under way: its number, when it was said, over how many flows and expectations. */
  #seq = -1;
  #saidMs = 0;
  #flows = 0;
  #expectations = 0;
  /** Rounds in a row in which the same was wanted and nothing changed, and what the last ones were about. */
  #hopeless = 0;
  #known = 0;
  #wants = 0;
  #wantsBefore = 0;
  #equalMs = Number.NEGATIVE_INFINITY;
  #equalFlows = 0;
  #equalExpectations = 0;
  #differing = 0;
  #leftovers = 0;

  /** Nothing is compared before. "flushed": for `restMs` from the next look on, or until a bulk has run. */
  #rest: "none" | "flushed" | "resting" = "none";
  #restUntilMs = 0;
  readonly #restMs: number;

  constructor(told: Digest, port: ExtensionPort, resend: (slot: number) => void, restMs: number) {
    this.#restMs = restMs;
    this.#told = told;
    this.#port = port;
    this.#resend = resend;
  }

  get proof(): Proof {
    return {
      supported: true,
      equalMs: this.#equalMs,
      flows: this.#equalFlows,
      expectations: this.#equalExpectations,
      differing: this.#differing,
      leftovers: this.#leftovers,
    };
  }

  /** A comparison is wanted at once. */
  prove(): void {
    this.#dueMs = 0;
    this.#hopeless = 0;
  }

  /** The internal cache was emptied in silence, and the peer keeps what it has until we know better. */
  flushed(): void {
    this.#told.clear();
    this.#rest = "flushed";
  }

  /** The peer has nothing of ours: whatever it asked for is void. */
  reborn(): void {
    this.#told.clear();
    this.#groups.fill(0);
    this.#buckets.fill(0);
    this.#listing = false;
    this.#seq = -1;
    this.#hopeless = 0;
    this.#equalMs = Number.NEGATIVE_INFINITY;
  }

  get dueMs(): number {
    if (this.#port.bulkRunning || this.#rest === "flushed") return Number.POSITIVE_INFINITY;
    return this.#rest === "resting" ? this.#restUntilMs : this.#dueMs;
  }

  /** Fills in the next message, which will have number `seq`; false when there is none. */
  next(message: ExtensionMessage, seq: number, nowMs: number): boolean {
    // Asked before each flow that is sent.
    if (!this.#asked && this.#rest === "none" && nowMs < this.#dueMs) return false;
    if (this.#rests(nowMs)) return false;
    if (this.#nextList(message)) return true;
    const group = takeLowest(this.#groups, 0);
    if (group >= 0) {
      this.#begin(message, EXT_SUMS, 1, group);
      message.words[AT_TOLD] = this.#told.count;
      this.#told.bucketSums(group, message.words, AT_SUMS);
      return true;
    }
    this.#asked = false;
    if (nowMs < this.#dueMs) return false;
    this.#begin(message, EXT_SUMS, 0, 0);
    this.#told.groupSums(message.words, AT_SUMS);
    message.words[AT_TOLD] = this.#told.count;
    this.#seq = seq;
    this.#saidMs = nowMs;
    this.#expectations = this.#told.expectations;
    this.#flows = this.#told.count - this.#expectations;
    this.#dueMs = nowMs + this.#roundMs();
    return true;
  }

  #rests(nowMs: number): boolean {
    if (this.#port.bulkRunning) {
      this.#rest = "none";
      return true;
    }
    if (this.#rest === "flushed") {
      this.#rest = "resting";
      this.#restUntilMs = nowMs + this.#restMs;
    }
    if (this.#rest === "resting" && nowMs >= this.#restUntilMs) this.#rest = "none";
    return this.#rest !== "none";
  }

  hear(message: ExtensionMessage): void {
    const { subtype, a, b, words } = message;
    if (words[AT_ADDRESSEE] !== this.#port.ownEpoch.low) return;
    if (subtype === EXT_VERDICT) this.#judged(a, words);
    else if (subtype === EXT_WANT) for (let i = 0; i < a; i++) this.#wanted(words[AT_KEYS + i]);
    else if (subtype === EXT_ASK) {
      this.#asked = true;
      const asked = a === 0 ? this.#groups : this.#buckets;
      const at = a === 0 ? 0 : 2 * b;
      asked[at] |= words[AT_CHOSEN];
      asked[at + 1] |= words[AT_CHOSEN + 1];
    }
  }

  #judged(differing: number, words: Uint32Array): void {
    if (words[AT_COMPARED] !== this.#seq) return; // Of an older comparison: the newer one says more.
    const known = words[AT_KNOWN];
    // Nothing was wanted: much is lost, or what neither side names was seen for the first time.
    const same = this.#wants !== 0 && this.#wants === this.#wantsBefore;
    const moved = differing < this.#differing || known !== this.#known || !same;
    this.#hopeless = differing === 0 || (moved && !this.#port.peerIsFull) ? 0 : this.#hopeless + 1;
    this.#differing = differing;
    this.#known = known;
    this.#leftovers = words[AT_LEFT];
    this.#wantsBefore = this.#wants;
    this.#wants = 0;
    if (differing === 0) {
      this.#equalMs = this.#saidMs;
      this.#equalFlows = this.#flows;
      this.#equalExpectations = this.#expectations;
    }
    this.#dueMs = this.#saidMs + this.#roundMs();
  }

  #roundMs(): number {
    if (this.#differing === 0) return ROUND_MS;
    return Math.min(DIFFERING_ROUND_MS * 2 ** Math.min(this.#hopeless, 8), HOPELESS_ROUND_MS);
  }

  #wanted(key: number): void {
    const told = this.#told;
    const found = told.find(firstKeyOf(bucketOf(key)), lastKeyOf(bucketOf(key)));
    for (let i = 0; i < found; i++) {
      const slot = told.slots[i];
      if (told.keyOf(slot) !== key || !this.#port.isSettled(slot)) continue; // It is on its way.
      this.#wants = (this.#wants + key) >>> 0;
      this.#resend(slot);
    }
  }

  /** A LIST of the next keys of the bucket in hand, or of another one that was asked for; each is whole for its range of keys. */
  #nextList(message: ExtensionMessage): boolean {
    if (!this.#listing && !this.#takeBucket()) return false;
    const told = this.#told;
    const found = this.#find();
    const { slots } = told;
    let from = 0;
    while (from < found && told.keyOf(slots[from]) < this.#from) from++;
    let end = Math.min(from + LIST_PAIRS_MAX, found);
    // Flows of one key stay together. More of them than a list holds are left out: somebody made them so.
    while (end > from && end < found && told.keyOf(slots[end]) === told.keyOf(slots[end - 1])) end--;
    const last = end === found ? this.#last : told.keyOf(slots[Math.max(end - 1, from)]);
    const skipped = end === from && end < found;
    this.#begin(message, EXT_LIST, end - from, 0);
    const { words } = message;
    words[AT_FIRST_KEY] = this.#from;
    words[AT_LAST_KEY] = skipped ? Math.max(last - 1, this.#from) : last;
    for (let i = from, at = AT_PAIRS; i < end; i++, at += 2) {
      words[at] = told.keyOf(slots[i]);
      words[at + 1] = told.contentOf(slots[i]);
    }
    message.count = AT_PAIRS + 2 * (end - from);
    this.#listing = last < this.#bucketEnd;
    this.#from = last + 1;
    return !skipped || this.#nextList(message);
  }

  #takeBucket(): boolean {
    for (let group = 0; group < SUMS; group++) {
      const bucket = takeLowest(this.#buckets, 2 * group);
      if (bucket < 0) continue;
      this.#from = firstKeyOf(group * SUMS + bucket);
      this.#bucketEnd = lastKeyOf(group * SUMS + bucket);
      this.#listing = true;
      return true;
    }
    return false;
  }

  /** The flows of the bucket, or of as much of it from `#from` on as can be looked at together, up to `#last`. */
  #find(): number {
    const bucket = bucketOf(this.#from);
    this.#last = this.#bucketEnd;
    let found = this.#told.find(firstKeyOf(bucket), this.#last);
    while (found < 0 && this.#last > this.#from) {
      this.#last = this.#from + ((this.#last - this.#from) >>> 1);
      found = this.#told.find(this.#from, this.#last);
    }
    return Math.max(found, 0);
  }

  #begin(message: ExtensionMessage, subtype: number, a: number, b: number): void {
    message.begin(subtype, a, b);
    message.words[AT_FROM_EPOCH] = this.#port.ownEpoch.low;
    message.words[AT_TO_EPOCH] = this.#port.peerEpochLow;
    message.words[AT_UNSETTLED] = this.#port.unsettledFrom;
  }
}

/** Takes the lowest bit out of 64; -1 when there is none. */
function takeLowest(bits: Uint32Array, at: number): number {
  for (let i = 0; i < 2; i++) {
    const word = bits[at + i];
    if (word === 0) continue;
    const bit = 31 - Math.clz32(word & -word);
    bits[at + i] = word & (word - 1);
    return i * 32 + bit;
  }
  return -1;
}
