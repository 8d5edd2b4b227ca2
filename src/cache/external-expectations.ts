/**
 * The external cache of expectations: what a peer announced, waiting to be committed after the flows. EXP_NEW and
 * EXP_UPDATE both say all there is to say of one, so either replaces what was known; EXP_DESTROY removes it.
 */
import { type Expectation, sameExpectation } from "../flow/expectation.ts";
import type { Digest } from "./digest.ts";
import { ExpectationQueue } from "./expectation-queue.ts";
import { ExpectationTable, withTimeLeft } from "./expectation-table.ts";

const PEERS_MAX = 8;

interface Told {
  readonly createdSeconds: number;
  readonly updatedSeconds: number;
  readonly peer: number;
  /** How often that peer had been asked for everything. */
  readonly round: number;
  /** Takeovers that had begun. */
  readonly takeover: number;
}

export class ExternalExpectations {
  readonly #table: ExpectationTable;
  readonly #told: Told[] = [];
  readonly #rounds = new Array<number>(PEERS_MAX).fill(0);
  #takeovers = 0;
  /** Digest of each peer's flows and expectations, where there is one; slots of ours begin there at `#firstSlot`. */
  readonly #digests: (Digest | undefined)[] = [];
  readonly #firstSlot: number;
  /** Hears of every change, where the kernel follows this cache. */
  readonly #queue: ExpectationQueue;

  constructor(slotsMax: number, firstSlot = 0, queue = new ExpectationQueue()) {
    this.#table = new ExpectationTable(slotsMax);
    this.#firstSlot = firstSlot;
    this.#queue = queue;
  }

  /** From now on `digest` counts what this peer tells of. */
  watch(peer: number, digest: Digest): void {
    this.#digests[peer] = digest;
  }

  /** Expectations that this peer told of last, whichever life of it. */
  countOf(peer: number): number {
    let count = 0;
    for (let slot = this.nextLive(0); slot >= 0; slot = this.nextLive(slot + 1))
      if (this.#told[slot].peer === peer) count++;
    return count;
  }

  get count(): number {
    return this.#table.count;
  }

  /** Slot of the expectation with the same key, or -1. */
  find(expectation: Expectation): number {
    return this.#table.find(expectation);
  }

  /** False when the cache is full and the expectation is not in it. `isNew`: its age begins now. */
  learn(expectation: Expectation, isNew: boolean, nowMs: number, peer: number): boolean {
    const known = this.#table.find(expectation);
    if (known >= 0 && this.#queue.stands(known)) {
      const before = this.#table.at(known);
      if (!sameExpectation(before, expectation)) this.#queue.replaced(known, before);
    }
    const slot = this.#table.put(expectation);
    if (slot < 0) return false;
    const seconds = Math.floor(nowMs / 1000);
    const createdSeconds = known < 0 || isNew ? seconds : this.#told[slot].createdSeconds;
    if (known >= 0 && this.#told[slot].peer !== peer) this.#uncount(slot);
    this.#digests[peer]?.setExpectation(this.#firstSlot + slot, expectation);
    const told = { peer, round: this.#rounds[peer], takeover: this.#takeovers };
    this.#told[slot] = { createdSeconds, updatedSeconds: seconds, ...told };
    this.#queue.changed(slot);
    return true;
  }

  /** False when the expectation is not in the cache. */
  destroy(expectation: Expectation): boolean {
    const slot = this.#table.find(expectation);
    if (slot < 0) return false;
    this.remove(slot);
    return true;
  }

  remove(slot: number): void {
    this.#queue.removed(slot, this.#table.at(slot));
    this.#uncount(slot);
    this.#table.remove(slot);
  }

  #uncount(slot: number): void {
    this.#digests[this.#told[slot].peer]?.forget(this.#firstSlot + slot);
  }

  /** What is here now will be committed; what a peer tells of from here on may be something else. */
  beginTakeover(): void {
    this.#takeovers++;
  }

  /** After the commit: what no peer has told of since `beginTakeover` leaves. How many there were. */
  forgetCommitted(): number {
    let forgotten = 0;
    for (let slot = this.nextLive(0); slot >= 0; slot = this.nextLive(slot + 1)) {
      if (this.#told[slot].takeover === this.#takeovers) continue;
      this.remove(slot);
      forgotten++;
    }
    return forgotten;
  }

  /** Forgets all. What the kernel has of them stays, as of flows. */
  clear(): void {
    this.#queue.clear();
    for (let slot = this.nextLive(0); slot >= 0; slot = this.nextLive(slot + 1)) this.#uncount(slot);
    this.#table.clear();
    this.#told.length = 0;
  }

  ageSeconds(slot: number, nowMs: number): number {
    return Math.max(0, Math.floor(nowMs / 1000) - this.#told[slot].createdSeconds);
  }

  /** The expectation in `slot`, as it was told. */
  at(slot: number): Expectation {
    return this.#table.at(slot);
  }

  /** The expectation in `slot`, with the time that is left of its timeout. */
  read(slot: number, nowMs: number): Expectation {
    return withTimeLeft(this.#table.at(slot), Math.floor(nowMs / 1000) - this.#told[slot].updatedSeconds);
  }

  /** The first used slot from `from` on, or -1. */
  nextLive(from: number): number {
    return this.#table.nextUsed(from);
  }

  isUsed(slot: number): boolean {
    return this.#table.isUsed(slot);
  }

  get slotsEnd(): number {
    return this.#table.end;
  }

  /** The peer is asked for all it has: what it tells of from now on is of a new round. */
  beginRound(peer: number): void {
    this.#rounds[peer]++;
  }

  /** Whether the peer told of what is in `slot` last, and not in this round. */
  isStale(slot: number, peer: number): boolean {
    if (!this.#table.isUsed(slot)) return false;
    return this.#told[slot].peer === peer && this.#told[slot].round !== this.#rounds[peer];
  }
}
