/**
 * The hearing side of anti-entropy: compares what the peer says it told with what the external cache has of it.
 *
 * It acts only on what it hears: a message that is lost, or that cannot be compared because something before it is missing, costs a
 * round of the peer's, nothing else. Flows that are missing or differ are asked for at once; a flow that the peer does not name
 * is withdrawn when lists of two rounds did not name it. A round lists as many flows as LISTS_PER_ROUND messages hold, and the next
 * round lists the same again, before those behind have their turn: so a million that differ are mended part by part.
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
  WANT_KEYS_MAX,
} from "../wire/extension.ts";
import type { Proof } from "./proof.ts";
import { WordQueue } from "./queue.ts";
import { isBefore } from "./serial.ts";
import type { ExtensionPort } from "./session.ts";

/** Lists of one round, about, and buckets that are listed at least: no more than a socket buffer holds. */
const LISTS_PER_ROUND = 1_024;
const BUCKETS_LEAST = 16;
const BUCKETS = SUMS * SUMS;
/** Where more than half of so many flows listed are missing, all are asked for, once in a while; it mends none that differ. */
const MASSIVE_FLOWS = 1_024;
const MASSIVE_MS = 30_000;
const WANTED_MAX = LISTS_PER_ROUND * LIST_PAIRS_MAX;
const SUSPECTS_MAX = 2 * WANTED_MAX;

export interface CheckerCounters {
  compared: number;
  differed: number;
  wanted: number;
  withdrawn: number;
}

export class Checker {
  #equalMs = Number.NEGATIVE_INFINITY;
  #equalFlows = 0;
  #equalExpectations = 0;
  readonly #counters: CheckerCounters;
  readonly #heard: Digest;
  readonly #port: ExtensionPort;
  /** Flows and expectations of the external caches that the peer told, in whichever life. */
  readonly #held: () => number;
  readonly #withdraw: (slot: number) => void;
  readonly #requestAll: () => void;
  readonly #sums = new Uint32Array(SUMS);
  readonly #groups = new Uint32Array(2);
  readonly #buckets = new Uint32Array(2 * SUMS);
  /** Buckets that differed when they were compared last, and those among them that this round asks for: 2 words for each group. */
  readonly #differed = new Uint32Array(2 * SUMS);
  readonly #chosen = new Uint32Array(2 * SUMS);
  /** The group at which the choice of this round begins, and the first one for which this round had no room; -1: none. */
  #turn = 0;
  #stoppedAt = -1;
  #round = 0;
  #bucketsLeft = 0;
  #flowsListed = 0;
  #flowsMissing = 0;
  #massiveMs = Number.NEGATIVE_INFINITY;
  /** There may be an answer to give. */
  #heardSome = false;
  #verdictSeq = -1;
  #differing = 0;
  readonly #wanted = new WordQueue(WANTED_MAX);
  /** Slots that a list did not name: content and round of each. */
  readonly #suspects = new Map<number, { readonly content: number; readonly round: number }>();

  constructor(
    heard: Digest,
    held: () => number,
    port: ExtensionPort,
    withdraw: (slot: number) => void,
    requestAll: () => void,
    counters: CheckerCounters,
  ) {
    this.#counters = counters;
    this.#heard = heard;
    this.#held = held;
    this.#port = port;
    this.#withdraw = withdraw;
    this.#requestAll = requestAll;
  }

  /** What is known of the equality of the external cache and what the peer told. */
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

  /** What the peer told counts as a dead life's. */
  reborn(): void {
    this.#heard.clear();
    this.#suspects.clear();
    this.#groups.fill(0);
    this.#buckets.fill(0);
    this.#differed.fill(0);
    this.#verdictSeq = -1;
    this.#equalMs = Number.NEGATIVE_INFINITY;
    this.#wanted.clear();
  }

  get #leftovers(): number {
    return Math.max(0, this.#held() - this.#heard.count);
  }

  hear(message: ExtensionMessage, seq: number, nowMs: number): void {
    const { words } = message;
    if (words[AT_FROM_EPOCH] !== this.#port.peerEpochLow || words[AT_TO_EPOCH] !== this.#port.ownEpoch.low) return;
    // Something it speaks of has not come: it says nothing of what is equal or surplus. While a repair is under way flows are wanted
    // all the same; those that are on their way the peer does not send again.
    const isWhole = !isBefore(words[AT_UNSETTLED], this.#port.unbrokenFrom);
    if (!isWhole && this.#differing === 0) return;
    this.#heardSome = true;
    if (message.subtype === EXT_LIST) {
      this.#list(message, isWhole);
      if (isWhole) this.#judgeMass(message.a, nowMs);
    } else if (message.a === 0) this.#compareGroups(words, seq, isWhole, nowMs);
    else {
      this.#compareBuckets(message.b, words);
    }
  }

  /** Fills in the next message; false when there is none. */
  next(message: ExtensionMessage): boolean {
    if (!this.#heardSome) return false; // Asked before each flow that is sent.
    this.#heardSome = this.#answer(message);
    return this.#heardSome;
  }

  #answer(message: ExtensionMessage): boolean {
    const { words } = message;
    if (this.#wanted.length > 0) {
      const count = Math.min(this.#wanted.length, WANT_KEYS_MAX);
      message.begin(EXT_WANT, count);
      for (let i = 0; i < count; i++) words[AT_KEYS + i] = this.#wanted.shift();
      message.count = AT_KEYS + count;
    } else if (this.#verdictSeq >= 0) {
      message.begin(EXT_VERDICT, this.#differing);
      words[AT_COMPARED] = this.#verdictSeq;
      words[AT_KNOWN] = this.#heard.count;
      words[AT_LEFT] = this.#leftovers;
      this.#verdictSeq = -1;
    } else if (!this.#ask(message, 0, 0, this.#groups, 0) && !this.#askForLists(message)) return false;
    words[AT_ADDRESSEE] = this.#port.peerEpochLow;
    return true;
  }

  #askForLists(message: ExtensionMessage): boolean {
    for (let group = 0; group < SUMS; group++) if (this.#ask(message, 1, group, this.#buckets, 2 * group)) return true;
    return false;
  }

  #ask(message: ExtensionMessage, level: number, index: number, bits: Uint32Array, at: number): boolean {
    if ((bits[at] | bits[at + 1]) === 0) return false;
    message.begin(EXT_ASK, level, index);
    message.words[AT_CHOSEN] = bits[at];
    message.words[AT_CHOSEN + 1] = bits[at + 1];
    bits.fill(0, at, at + 2);
    return true;
  }

  #compareGroups(words: Uint32Array, seq: number, isWhole: boolean, nowMs: number): void {
    this.#heard.groupSums(this.#sums, 0);
    this.#groups.fill(0);
    this.#nextTurn();
    let differing = 0;
    let last = -1;
    for (let group = 0; group < SUMS; group++) {
      if (this.#sums[group] === words[AT_SUMS + group]) continue;
      differing++;
      last = group;
    }
    if (last < this.#turn) this.#turn = 0;
    if (isWhole) this.#judgeAll(differing, seq, nowMs);
    const listsOfBucket = Math.ceil(Math.max(words[AT_TOLD], this.#heard.count) / BUCKETS / LIST_PAIRS_MAX) || 1;
    this.#bucketsLeft = Math.max(BUCKETS_LEAST, Math.floor(LISTS_PER_ROUND / listsOfBucket));
    this.#flowsListed = 0;
    this.#flowsMissing = 0;
    this.#chosen.fill(0);
    for (let group = this.#turn; group <= last; group++) {
      if (this.#sums[group] === words[AT_SUMS + group]) continue;
      this.#groups[group >>> 5] |= 1 << (group & 31);
      // Where much is lost, each message that need not arrive first counts.
      for (let i = 0; i < SUMS; i++) if (isSet(this.#differed, group, i)) this.#choose(group, i);
    }
  }

  #judgeAll(differing: number, seq: number, nowMs: number): void {
    this.#counters.compared++;
    this.#verdictSeq = seq;
    this.#differing = differing;
    if (differing > 0) {
      this.#counters.differed++;
      return;
    }
    this.#suspects.clear();
    this.#differed.fill(0);
    this.#equalMs = nowMs;
    this.#equalExpectations = this.#heard.expectations;
    this.#equalFlows = this.#heard.count - this.#equalExpectations;
  }

  /** Each part has two rounds in a row, since what the peer does not name must be missed twice. */
  #nextTurn(): void {
    this.#round++;
    if (this.#round % 2 === 0) {
      if (this.#stoppedAt < 0) this.#turn = 0;
      else this.#turn = this.#stoppedAt > this.#turn ? this.#stoppedAt : this.#turn + 1;
    }
    this.#stoppedAt = -1;
  }

  #compareBuckets(group: number, words: Uint32Array): void {
    this.#heard.bucketSums(group, this.#sums, 0);
    for (let i = 0; i < SUMS; i++) {
      if (this.#sums[i] === words[AT_SUMS + i]) unset(this.#differed, group, i);
      else {
        set(this.#differed, group, i);
        this.#choose(group, i);
      }
    }
  }

  /** The bucket's list is asked for in this round, if there is room. */
  #choose(group: number, bucket: number): void {
    if (isSet(this.#chosen, group, bucket)) return;
    if (this.#bucketsLeft === 0) {
      if (this.#stoppedAt < 0) this.#stoppedAt = group;
      return;
    }
    this.#bucketsLeft--;
    set(this.#chosen, group, bucket);
    set(this.#buckets, group, bucket);
  }

  /** Where most flows are missing, a bulk is cheaper than lists of everything. */
  #judgeMass(pairs: number, nowMs: number): void {
    this.#flowsListed += pairs;
    if (this.#flowsListed < MASSIVE_FLOWS || this.#flowsMissing * 2 < this.#flowsListed) return;
    if (nowMs - this.#massiveMs < MASSIVE_MS) return;
    this.#massiveMs = nowMs;
    this.#wanted.clear();
    this.#buckets.fill(0);
    this.#requestAll();
  }

  /** Both sides are in order of their keys: they are walked side by side, a run of equal keys at a time. */
  #list({ a: pairs, words }: ExtensionMessage, isWhole: boolean): void {
    const heard = this.#heard;
    const first = words[AT_FIRST_KEY];
    const last = words[AT_LAST_KEY];
    const bucket = bucketOf(first);
    if (bucketOf(last) !== bucket) return;
    let end = heard.find(firstKeyOf(bucket), lastKeyOf(bucket));
    if (end < 0) end = heard.find(first, last);
    const { slots } = heard;
    const surplus: number[] = [];
    let ours = 0;
    while (ours < end && heard.keyOf(slots[ours]) < first) ours++;
    for (let theirs = 0; theirs < pairs || (ours < end && heard.keyOf(slots[ours]) <= last); ) {
      const ourKey = ours < end ? heard.keyOf(slots[ours]) : Number.POSITIVE_INFINITY;
      const theirKey = theirs < pairs ? words[AT_PAIRS + 2 * theirs] : Number.POSITIVE_INFINITY;
      const key = Math.min(ourKey, theirKey);
      let ourEnd = ours;
      while (ourEnd < end && heard.keyOf(slots[ourEnd]) === key) ourEnd++;
      let theirEnd = theirs;
      while (theirEnd < pairs && words[AT_PAIRS + 2 * theirEnd] === key) theirEnd++;
      if (!this.#allThere(words, theirs, theirEnd, ours, ourEnd)) {
        if (ours === ourEnd) this.#flowsMissing++;
        this.#want(key);
      } else if (isWhole) for (let i = ours; i < ourEnd; i++) this.#judge(slots[i], words, theirs, theirEnd, surplus);
      ours = ourEnd;
      theirs = theirEnd;
    }
    for (const slot of surplus) {
      this.#counters.withdrawn++;
      this.#withdraw(slot);
    }
  }

  /** Whether each of the peer's flows of a key is among ours. */
  #allThere(words: Uint32Array, theirs: number, theirEnd: number, ours: number, ourEnd: number): boolean {
    for (let j = theirs; j < theirEnd; j++) {
      let there = false;
      for (let i = ours; i < ourEnd && !there; i++)
        there = this.#heard.contentOf(this.#heard.slots[i]) === words[AT_PAIRS + 2 * j + 1];
      if (!there) return false;
    }
    return true;
  }

  /** Ours, of a key of which we have all that the peer has: surplus, if the peer does not name it a second time. */
  #judge(slot: number, words: Uint32Array, theirs: number, theirEnd: number, surplus: number[]): void {
    const content = this.#heard.contentOf(slot);
    for (let j = theirs; j < theirEnd; j++) {
      if (words[AT_PAIRS + 2 * j + 1] !== content) continue;
      this.#suspects.delete(slot);
      return;
    }
    const suspect = this.#suspects.get(slot);
    if (suspect !== undefined && suspect.content === content && suspect.round !== this.#round) {
      this.#suspects.delete(slot);
      surplus.push(slot);
    } else if (suspect?.content !== content && this.#suspects.size < SUSPECTS_MAX)
      this.#suspects.set(slot, { content, round: this.#round });
  }

  #want(key: number): void {
    if (this.#wanted.push(key)) this.#counters.wanted++; // Full: the next round asks for the rest.
  }
}

/** One bit for each of the 64 buckets of each group. */
const isSet = (bits: Uint32Array, group: number, bucket: number): boolean =>
  (bits[2 * group + (bucket >>> 5)] & (1 << (bucket & 31))) !== 0;
function set(bits: Uint32Array, group: number, bucket: number): void {
  bits[2 * group + (bucket >>> 5)] |= 1 << (bucket & 31);
}
function unset(bits: Uint32Array, group: number, bucket: number): void {
  bits[2 * group + (bucket >>> 5)] &= ~(1 << (bucket & 31));
}

/** Whether a message is for the checker: the others are for the prover. */
export const isForChecker = ({ subtype }: ExtensionMessage): boolean => subtype === EXT_SUMS || subtype === EXT_LIST;
