/**
 * The replica's pipeline for expectations: the same way as a flow's, beside it. Their slots follow those of the flows, so
 * the sessions send, repeat and acknowledge both alike.
 *
 *   kernelEvent → filter → internal cache → session → put        learn → external cache → (commit, after the flows)
 */

import { ExternalExpectations } from "./cache/external-expectations.ts";
import type { FlowHash } from "./cache/hash.ts";
import type { InternalCache } from "./cache/internal.ts";
import { DEAD, FRESH } from "./cache/internal.ts";
import { InternalExpectations } from "./cache/internal-expectations.ts";
import { type DumpAge, RecentEvents } from "./cache/recent-events.ts";
import { StaleEntries } from "./cache/stale-entries.ts";
import type { AddressFilter } from "./filter/address-filter.ts";
import { type Expectation, flowOfTuple } from "./flow/expectation.ts";
import { Flow } from "./flow/flow.ts";
import type { ReplicaCounters } from "./replica-counters.ts";
import type { Session, SlotOwner } from "./sync/session.ts";
import { encodeExpectation } from "./wire/expectation.ts";
import { EXP_DESTROY, EXP_NEW, EXP_UPDATE } from "./wire/header.ts";

export interface ExpectationOptions {
  /** Expectations that each cache holds. */
  readonly expectationsMax: number;
  readonly staleMs: number;
  readonly peers: number;
  readonly filter: AddressFilter;
}

export class ReplicaExpectations {
  readonly internal: InternalExpectations;
  readonly external: ExternalExpectations;
  /** For whoever reads a dump of the kernel's expectations. */
  readonly recentEvents: RecentEvents;
  readonly #firstSlot: number;
  readonly #flows: InternalCache;
  readonly #filter: AddressFilter;
  readonly #counters: ReplicaCounters;
  readonly #sessions: () => readonly Session[];
  readonly #stale: readonly StaleEntries[];
  readonly #named = new Flow();

  /** `flows`: the internal cache of flows. `sessions` is asked once there are some. */
  constructor(
    options: ExpectationOptions,
    flows: InternalCache,
    hash: FlowHash,
    counters: ReplicaCounters,
    sessions: () => readonly Session[],
  ) {
    const { expectationsMax, peers, staleMs } = options;
    this.internal = new InternalExpectations(expectationsMax, peers);
    this.external = new ExternalExpectations(expectationsMax);
    this.recentEvents = new RecentEvents(hash);
    this.#firstSlot = flows.flowsMax;
    this.#flows = flows;
    this.#filter = options.filter;
    this.#counters = counters;
    this.#sessions = sessions;
    this.#stale = Array.from({ length: peers }, (_, peer) => new StaleEntries(this.external, peer, staleMs));
  }

  /** What a session towards this peer sees: the flows' slots, then ours. A bulk so tells of masters first. */
  ownerFor(peer: number): SlotOwner {
    const flows = this.#flows.ownerFor(peer);
    const ours = this.internal.ownerFor(peer);
    const first = this.#firstSlot;
    return {
      slotsMax: first + ours.slotsMax,
      nextLive: (from) => {
        const flow = from < first ? flows.nextLive(from) : -1;
        if (flow >= 0) return flow;
        const slot = ours.nextLive(Math.max(from - first, 0));
        return slot < 0 ? -1 : first + slot;
      },
      release: (slot) => (slot < first ? flows.release(slot) : ours.release(slot - first)),
    };
  }

  isOurs(slot: number): boolean {
    return slot >= this.#firstSlot;
  }

  /** An event of our kernel: it made an expectation (`began`), or one ended, used or not. */
  kernelEvent(began: boolean, expectation: Expectation, nowMs: number): void {
    this.recentEvents.note(this.#expected(expectation));
    if (!began) {
      const slot = this.internal.find(expectation);
      if (slot >= 0) this.ended(slot);
      return;
    }
    if (this.#ignored(expectation)) return;
    const slot = this.#withRoom(() => this.internal.create(expectation, nowMs));
    if (slot >= 0) this.#changed(slot);
  }

  /** An entry of a dump of our kernel's expectations. The peers hear of it only if it tells something new. */
  kernelEntry(expectation: Expectation, nowMs: number): void {
    if (this.#ignored(expectation)) return;
    let isNews = false;
    const slot = this.#withRoom(() => {
      isNews = this.internal.see(expectation, nowMs);
      return this.internal.find(expectation);
    });
    if (isNews && slot >= 0) this.#changed(slot);
  }

  /**
   * Whether an event told of the expectation since the kernel made the portion of a dump in which it stands: then the event
   * is right, and the entry may be older.
   */
  isOvertaken(expectation: Expectation, age: DumpAge): boolean {
    return age.isDoubtful(this.#expected(expectation));
  }

  /** A dump has it, but an event says what it is. */
  kernelHas(expectation: Expectation): void {
    const slot = this.internal.find(expectation);
    if (slot >= 0) this.internal.mark(slot);
  }

  /** The expectation in `slot` of the internal cache is no more in the kernel. */
  ended(slot: number): void {
    if (this.internal.stageOf(slot) === DEAD) return;
    this.internal.kill(slot);
    this.#changed(slot);
  }

  /** A message of a peer about an expectation. */
  learn(type: number, expectation: Expectation, peer: number, nowMs: number): void {
    const { cache, wire } = this.#counters;
    wire.expectationsReceived++;
    if (type === EXP_DESTROY) {
      if (!this.external.destroy(expectation)) cache.expectationsUnknown++;
    } else if (!this.external.learn(expectation, type === EXP_NEW, nowMs, peer)) cache.expectationsFull++;
  }

  /** Writes the message about what is in the session's `slot`, but for its header; `type` says which it is. */
  put(slot: number, view: DataView, at: number, nowMs: number, extended: boolean): number {
    const own = slot - this.#firstSlot;
    const stage = this.internal.stageOf(own);
    this.type = stage === DEAD ? EXP_DESTROY : stage === FRESH ? EXP_NEW : EXP_UPDATE;
    this.#counters.wire.expectationsSent++;
    return encodeExpectation(this.internal.read(own, nowMs), view, at, extended);
  }
  /** Type of the message that `put` wrote last. */
  type = EXP_UPDATE;

  tick(nowMs: number): void {
    const sessions = this.#sessions();
    for (let peer = 0; peer < sessions.length; peer++) {
      const { requests, requestsAnswered } = sessions[peer];
      this.#counters.cache.expectationsStale += this.#stale[peer].tick(requests, requestsAnswered, nowMs);
    }
  }

  get dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const stale of this.#stale) due = Math.min(due, stale.dueMs);
    return due;
  }

  /**
   * An expectation belongs to its master. One whose master is in the cache is none of the firewall's own affairs; a master
   * that is not known yet (a helper's first packet) is judged by its source, which NAT does not touch.
   */
  #ignored(expectation: Expectation): boolean {
    flowOfTuple(expectation.master, this.#named);
    if (this.#flows.find(this.#named) >= 0 || !this.#filter.ignores(this.#named.words)) return false;
    this.#counters.cache.expectationsIgnored++;
    return true;
  }

  #expected({ expected }: Expectation): Uint32Array {
    flowOfTuple(expected, this.#named);
    return this.#named.words;
  }

  /** Slot that `store` answers, -1 when the cache is full of the living. A peer away too long is not told which ended. */
  #withRoom(store: () => number): number {
    let slot = store();
    if (slot < 0) {
      for (const session of this.#sessions())
        session.retain((held) => !this.isOurs(held) || this.internal.stageOf(held - this.#firstSlot) !== DEAD);
      const forgotten = this.internal.forgetDead();
      this.#counters.cache.destroysForgotten += forgotten;
      if (forgotten > 0) slot = store();
    }
    if (slot < 0) this.#counters.cache.expectationsFull++;
    return slot;
  }

  #changed(slot: number): void {
    for (const session of this.#sessions()) session.changed(this.#firstSlot + slot);
  }
}
