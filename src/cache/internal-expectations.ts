/**
 * The internal cache of expectations: those of this kernel, and those that have ended and a peer does not know it yet.
 * It follows the internal cache of flows: FRESH until every peer has acknowledged it, DEAD until every peer knows that.
 */
import { type Expectation, sameExpectation } from "../flow/expectation.ts";
import type { SlotOwner } from "../sync/session.ts";
import { ExpectationTable, withTimeLeft } from "./expectation-table.ts";
import { ALIVE, type Comparison, DEAD, FRESH } from "./internal.ts";

interface Life {
  stage: typeof FRESH | typeof ALIVE | typeof DEAD;
  /** Peers that have not acknowledged the newest state, a bit each. */
  holders: number;
  createdSeconds: number;
  updatedSeconds: number;
  /** Number of the pass that saw it last. */
  seen: number;
}

export class InternalExpectations {
  readonly slotsMax: number;
  readonly #table: ExpectationTable;
  readonly #lives: Life[] = [];
  readonly #peers: number;
  #dead = 0;
  #pass = 0;

  /** `peers` is how many must hear of each expectation, 8 at most. */
  constructor(slotsMax: number, peers: number) {
    this.slotsMax = slotsMax;
    this.#peers = (1 << peers) - 1;
    this.#table = new ExpectationTable(slotsMax);
  }

  /** Expectations that live in the kernel, as far as is known. */
  get count(): number {
    return this.#table.count - this.#dead;
  }

  find(expectation: Expectation): number {
    return this.#table.find(expectation);
  }

  /** An expectation was made, or made anew. Slot, or -1 when the cache is full. */
  create(expectation: Expectation, nowMs: number): number {
    const slot = this.#table.put(expectation);
    if (slot < 0) return -1;
    if (this.#lives[slot]?.stage === DEAD) this.#dead--;
    const seconds = Math.floor(nowMs / 1000);
    this.#lives[slot] = {
      stage: FRESH,
      holders: this.#peers,
      createdSeconds: seconds,
      updatedSeconds: seconds,
      seen: this.#pass,
    };
    return slot;
  }

  /** An expectation was seen. True when that is news; false too when the cache is full (`find` answers -1 then). */
  see(expectation: Expectation, nowMs: number): boolean {
    const slot = this.#table.find(expectation);
    if (slot < 0 || this.#lives[slot].stage === DEAD) return this.create(expectation, nowMs) >= 0;
    const isNews = !sameExpectation(this.#table.at(slot), expectation);
    this.#table.put(expectation);
    this.#lives[slot].updatedSeconds = Math.floor(nowMs / 1000);
    this.#lives[slot].seen = this.#pass;
    return isNews;
  }

  /** What the kernel shows of one, beside what is known of it; the time that is left does not count. Changes nothing. */
  compare(shown: Expectation): Comparison {
    const slot = this.#table.find(shown);
    if (slot < 0 || this.#lives[slot].stage === DEAD) return "missing";
    return sameExpectation(this.#table.at(slot), shown) ? "same" : "different";
  }

  /** It ended. It stays, dead, until every peer has been told; without peers it is gone at once. */
  kill(slot: number): void {
    if (this.#lives[slot].stage === DEAD) return;
    if (this.#peers === 0) {
      this.#drop(slot);
      return;
    }
    this.#lives[slot].stage = DEAD;
    this.#lives[slot].holders = this.#peers;
    this.#dead++;
  }

  /** The peer does not know what is in `slot` as it is: it is announced as new again. */
  renew(slot: number, peer: number): void {
    const life = this.#lives[slot];
    if (life.stage === DEAD) return;
    life.stage = FRESH;
    life.holders |= 1 << peer;
  }

  /** Forgets those that have ended, telling `forgotten` of each. Nobody may hold their slots any more. */
  forgetDead(forgotten: (slot: number) => void): void {
    for (let slot = this.#table.nextUsed(0); slot >= 0; slot = this.#table.nextUsed(slot + 1)) {
      if (this.#lives[slot].stage !== DEAD) continue;
      this.#drop(slot);
      forgotten(slot);
    }
  }

  /** Forgets all, dead or not. Nobody may hold a slot any more. */
  clear(): void {
    this.#table.clear();
    this.#lives.length = 0;
    this.#dead = 0;
  }

  ownerFor(peer: number): SlotOwner {
    return {
      slotsMax: this.slotsMax,
      nextLive: (from) => this.nextLive(from),
      release: (slot) => this.#release(slot, 1 << peer),
    };
  }

  stageOf(slot: number): number {
    return this.#lives[slot].stage;
  }

  ageSeconds(slot: number, nowMs: number): number {
    return Math.max(0, Math.floor(nowMs / 1000) - this.#lives[slot].createdSeconds);
  }

  /** The expectation in `slot`, with the time that is left of its timeout. */
  read(slot: number, nowMs: number): Expectation {
    return withTimeLeft(this.#table.at(slot), Math.floor(nowMs / 1000) - this.#lives[slot].updatedSeconds);
  }

  isLive(slot: number): boolean {
    return this.#table.isUsed(slot) && this.#lives[slot].stage !== DEAD;
  }

  /** One past the highest slot that was ever in use since the cache was empty. */
  get slotsEnd(): number {
    return this.#table.end;
  }

  /** The first slot from `from` on whose expectation is not dead, or -1. */
  nextLive(from: number): number {
    let slot = this.#table.nextUsed(from);
    while (slot >= 0 && this.#lives[slot].stage === DEAD) slot = this.#table.nextUsed(slot + 1);
    return slot;
  }

  /** The number of the pass that was begun last: another one means that another reread has taken over. */
  get pass(): number {
    return this.#pass;
  }

  beginPass(): void {
    this.#pass++;
  }

  /** The kernel has what is in `slot`, whatever it says of it. */
  mark(slot: number): void {
    this.#lives[slot].seen = this.#pass;
  }

  nextUnseen(from: number): number {
    let slot = this.nextLive(from);
    while (slot >= 0 && this.#lives[slot].seen === this.#pass) slot = this.nextLive(slot + 1);
    return slot;
  }

  /** One peer knows the newest state of what is in `slot`. */
  #release(slot: number, peer: number): void {
    const life = this.#lives[slot];
    if (life === undefined || life.holders === 0) return;
    life.holders &= ~peer;
    if (life.holders !== 0) return;
    if (life.stage === FRESH) life.stage = ALIVE;
    else if (life.stage === DEAD) this.#drop(slot);
  }

  #drop(slot: number): void {
    if (this.#lives[slot].stage === DEAD) this.#dead--;
    this.#lives[slot].stage = FRESH;
    this.#lives[slot].holders = 0;
    this.#table.remove(slot);
  }
}
