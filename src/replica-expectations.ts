/**
 * The replica's pipeline for expectations: the same way as a flow's, beside it. Their slots follow those of the flows, so
 * the sessions send, repeat and acknowledge both alike.
 *
 *   kernelEvent → filter → internal cache → session → put        learn → external cache → (commit, after the flows)
 */

import { ExpectationQueue } from "./cache/expectation-queue.ts";
import { ExternalExpectations } from "./cache/external-expectations.ts";
import type { FlowHash } from "./cache/hash.ts";
import { type Comparison, DEAD, FRESH } from "./cache/internal.ts";
import { InternalExpectations } from "./cache/internal-expectations.ts";
import { type DumpAge, RecentEvents } from "./cache/recent-events.ts";
import { StaleEntries } from "./cache/stale-entries.ts";
import type { AddressFilter } from "./filter/address-filter.ts";
import { EXPECT_PERMANENT, type Expectation, flowOfTuple, isExpected, sameTuple } from "./flow/expectation.ts";
import { Flow } from "./flow/flow.ts";
import type { Replica } from "./replica.ts";
import type { SlotOwner } from "./sync/session.ts";
import { encodeExpectation } from "./wire/expectation.ts";
import { EXP_DESTROY, EXP_NEW, EXP_UPDATE } from "./wire/header.ts";

/** How far the time that is left of one may be off in the cache. */
const DRIFT_SECONDS = 5;

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
  /** Active while the kernel follows the external cache. */
  readonly queue = new ExpectationQueue();
  /** For whoever reads a dump of the kernel's expectations. */
  readonly recentEvents: RecentEvents;
  readonly #firstSlot: number;
  readonly #replica: Replica;
  readonly #filter: AddressFilter;
  readonly #stale: readonly StaleEntries[];
  readonly #named = new Flow();

  /** Of `replica` the caches of flows are there already. */
  constructor(options: ExpectationOptions, replica: Replica, hash: FlowHash) {
    const { expectationsMax, peers, staleMs } = options;
    this.#replica = replica;
    this.#firstSlot = replica.internal.flowsMax;
    this.internal = new InternalExpectations(expectationsMax, peers);
    this.external = new ExternalExpectations(expectationsMax, this.#firstSlot, this.queue);
    this.recentEvents = new RecentEvents(hash);
    this.#filter = options.filter;
    this.#stale = Array.from({ length: peers }, (_, peer) => new StaleEntries(this.external, peer, staleMs));
  }

  /** What a session towards this peer sees: the flows' slots, then ours. A bulk so tells of masters first. */
  ownerFor(peer: number): SlotOwner {
    const flows = this.#replica.internal.ownerFor(peer);
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

  /** The first slot of ours, as sessions and digests count. */
  get firstSlot(): number {
    return this.#firstSlot;
  }

  /**
   * Whether an expectation of a dump is a peer's: its master is announced by an extended peer, and not by us. It stands in our
   * kernel because it was committed, or was left there when the peer took over (decisions of src/sync). Where our kernel follows
   * the peer, any peer's master makes it so, and one that is held: then nobody knows yet.
   */
  isPeers({ master }: Expectation): boolean {
    const { internal, external, sessions, ownership, live } = this.#replica;
    const follows = this.queue.active;
    if (!follows && (!ownership.active || external.count === 0)) return false;
    flowOfTuple(master, this.#named);
    const own = internal.find(this.#named);
    if (own >= 0 && internal.lifeOf(own) !== DEAD)
      return follows && (internal.isHeld(own) || this.#isYielded(this.#named));
    const known = external.find(this.#named);
    if (follows) return known >= 0 || live?.queue.isWithdrawn(this.#named) === true;
    return known >= 0 && sessions[external.peerOf(known)].extended;
  }

  /**
   * Whether a flow that we announce too is the peer's as far as its expectations go: we are primary no more, and the peer names it.
   * The new primary may have named it before our own keepalived said so.
   */
  #isYielded(flow: Flow): boolean {
    const { role, external } = this.#replica;
    return role !== "unknown" && role !== "master" && external.find(flow) >= 0;
  }

  /** What of the expectation's master our kernel has: the peer's entry, one that the peer does not decide on, or none. */
  masterOf({ master }: Expectation): "stands" | "ours" | "missing" {
    const { external, live } = this.#replica;
    flowOfTuple(master, this.#named);
    if (live?.isOurs(this.#named)) return this.#isYielded(this.#named) ? "stands" : "ours";
    const slot = external.find(this.#named);
    return slot >= 0 && live?.queue.stands(slot) ? "stands" : "missing";
  }

  /** Whether our own kernel expects that tuple, for whichever master: the kernel tells none apart that share it. */
  isOwn({ expected }: Expectation): boolean {
    for (let slot = this.internal.nextLive(0); slot >= 0; slot = this.internal.nextLive(slot + 1))
      if (sameTuple(this.internal.read(slot, 0).expected, expected)) return true;
    return false;
  }

  /**
   * A related flow began, in the peer's kernel or in ours: what expected it is used up. The peer says so too, sooner or later;
   * until then it stays in the cache, and only the kernel is told.
   */
  fulfilled(flow: Flow): void {
    const { queue, external } = this;
    if (!queue.active) return;
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
      const expectation = external.at(slot);
      if ((expectation.flags & EXPECT_PERMANENT) === 0 && isExpected(flow, expectation))
        queue.removed(slot, expectation);
    }
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
    if (slot >= 0) this.#began(slot, expectation);
  }

  /** An entry of a dump of our kernel's expectations. The peers hear of it only if it tells something new: true then. */
  kernelEntry(expectation: Expectation, nowMs: number): boolean {
    if (this.#ignored(expectation) || this.isPeers(expectation)) return false;
    let isNews = false;
    const slot = this.#withRoom(() => {
      isNews = this.internal.see(expectation, nowMs);
      return this.internal.find(expectation);
    });
    if (!isNews || slot < 0) return false;
    this.#began(slot, expectation);
    return true;
  }

  /**
   * Whether an event told of the expectation since the kernel made the portion of a dump in which it stands: then the event
   * is right, and the entry may be older.
   */
  isOvertaken(expectation: Expectation, age: DumpAge): boolean {
    return age.isDoubtful(this.#expected(expectation));
  }

  /** Whether an event has told of it since that moment of `recentEvents`, or may have. */
  isTold(expectation: Expectation, sinceMoment: number): boolean {
    return this.recentEvents.isNewer(this.#expected(expectation), sinceMoment);
  }

  /** What an entry of our kernel is to the internal cache; the time that is left does not count. Changes nothing. */
  compareEntry(expectation: Expectation): "ignored" | Comparison {
    const ignored = this.#isIgnored(expectation) || this.isPeers(expectation);
    return ignored ? "ignored" : this.internal.compare(expectation);
  }

  /**
   * The kernel has another time left for it than the cache, as when its helper starts its timer again, of which no event tells.
   * Extended peers hear of it. False if it is not far off.
   */
  moveTimer(kernel: Expectation, nowMs: number): boolean {
    const slot = this.internal.find(kernel);
    const known = this.internal.read(slot, nowMs).timeoutSeconds ?? 0;
    if (Math.abs((kernel.timeoutSeconds ?? 0) - known) <= DRIFT_SECONDS) return false;
    this.internal.see(kernel, nowMs);
    for (const session of this.#replica.sessions) if (session.extended) session.changed(this.#firstSlot + slot);
    return true;
  }

  /** A dump has it, whatever it says of it. */
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

  /** The peer does not know what is in `slot` as it is: it is told anew. */
  renew(slot: number, peer: number): void {
    this.internal.renew(slot, peer);
    this.#replica.sessions[peer].changed(this.#firstSlot + slot);
  }

  /** A message of a peer about an expectation. */
  learn(type: number, expectation: Expectation, peer: number, nowMs: number): void {
    const { cache, wire } = this.#replica.counters;
    wire.expectationsReceived++;
    if (type === EXP_DESTROY) {
      if (!this.external.destroy(expectation)) cache.expectationsUnknown++;
    } else if (!this.external.learn(expectation, type === EXP_NEW, nowMs, peer)) cache.expectationsFull++;
    else if (this.queue.active) this.#give(expectation);
  }

  /** This node has stepped down: what a peer named before that, as of its masters, is the peer's. */
  yield(nowMs: number): void {
    for (let slot = this.internal.nextLive(0); slot >= 0; slot = this.internal.nextLive(slot + 1)) {
      const expectation = this.internal.read(slot, nowMs);
      if (this.queue.active && this.external.find(expectation) >= 0) this.#give(expectation);
    }
  }

  /** The peer has it, and its master: it is not ours to announce any more, though it stood here when this node was primary. */
  #give(expectation: Expectation): void {
    if (this.internal.count === 0) return;
    const slot = this.internal.find(expectation);
    if (slot >= 0 && this.isPeers(expectation)) this.ended(slot);
  }

  /** Writes the message about what is in the session's `slot`, but for its header; `type` says which it is. */
  put(slot: number, view: DataView, at: number, nowMs: number, extended: boolean): number {
    const own = slot - this.#firstSlot;
    const stage = this.internal.stageOf(own);
    this.type = stage === DEAD ? EXP_DESTROY : stage === FRESH ? EXP_NEW : EXP_UPDATE;
    this.#replica.counters.wire.expectationsSent++;
    this.sent = this.internal.read(own, nowMs);
    return encodeExpectation(this.sent, view, at, extended);
  }
  /** What `put` wrote about last. */
  sent: Expectation | undefined;
  /** Type of the message that `put` wrote last. */
  type = EXP_UPDATE;

  tick(nowMs: number): void {
    const sessions = this.#replica.sessions;
    for (let peer = 0; peer < sessions.length; peer++) {
      const { requests, requestsAnswered } = sessions[peer];
      this.#replica.counters.cache.expectationsStale += this.#stale[peer].tick(requests, requestsAnswered, nowMs);
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
  #isIgnored({ master }: Expectation): boolean {
    flowOfTuple(master, this.#named);
    return this.#replica.internal.find(this.#named) < 0 && this.#filter.ignores(this.#named.words);
  }

  #ignored(expectation: Expectation): boolean {
    const ignored = this.#isIgnored(expectation);
    if (ignored) this.#replica.counters.cache.expectationsIgnored++;
    return ignored;
  }

  #expected({ expected }: Expectation): Uint32Array {
    flowOfTuple(expected, this.#named);
    return this.#named.words;
  }

  /** Slot that `store` answers, -1 when the cache is full of the living. A peer away too long is not told which ended. */
  #withRoom(store: () => number): number {
    let slot = store();
    if (slot < 0) {
      for (const session of this.#replica.sessions)
        session.retain((held) => !this.isOurs(held) || this.internal.stageOf(held - this.#firstSlot) !== DEAD);
      this.internal.forgetDead((forgotten) => {
        for (const host of this.#replica.hosts) host?.told.forget(this.#firstSlot + forgotten);
        this.#replica.counters.cache.destroysForgotten++;
      });
      slot = store();
    }
    if (slot < 0) this.#replica.counters.cache.expectationsFull++;
    return slot;
  }

  /** Whose a master is has to be known of what it expects. */
  #began(slot: number, { master }: Expectation): void {
    flowOfTuple(master, this.#named);
    this.#replica.tellNow(this.#named);
    this.#changed(slot);
  }

  #changed(slot: number): void {
    for (const session of this.#replica.sessions) session.changed(this.#firstSlot + slot);
  }
}
