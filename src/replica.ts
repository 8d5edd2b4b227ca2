/**
 * READ FIRST. One node of a pair: what the kernel says goes to the peers, what the peers say goes to the external cache.
 *
 *   primary  kernelEvent → filter → internal cache → session → transmit → datagrams
 *   backup   datagram → session → external cache → (the kernel: at once, or by a commit when this node takes over)
 *
 * Both directions run in every node; which of them matters is keepalived's decision. Nothing in here does input or output,
 * reads a clock or draws a random number: bytes, time and seeds come as arguments, so the simulator runs this very file.
 */

import { ApplyQueue } from "./cache/apply-queue.ts";
import { ExternalCache } from "./cache/external.ts";
import { FlowHash } from "./cache/hash.ts";
import { type Comparison, DEAD, InternalCache } from "./cache/internal.ts";
import { RecentEvents } from "./cache/recent-events.ts";
import { StaleEntries } from "./cache/stale-entries.ts";
import type { AddressFilter } from "./filter/address-filter.ts";
import type { Expectation } from "./flow/expectation.ts";
import { Flow, HAS_MASTER } from "./flow/flow.ts";
import { ReplicaCounters } from "./replica-counters.ts";
import { Datagrams } from "./replica-datagrams.ts";
import { ReplicaExpectations } from "./replica-expectations.ts";
import { Live } from "./replica-live.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { Outbound } from "./replica-outbound.ts";
import { Ownership } from "./replica-ownership.ts";
import { PeerHost } from "./replica-peer.ts";
import { Repair } from "./replica-repair.ts";
import { WEAK } from "./sync/claim.ts";
import { NO_PROOF, type Proof } from "./sync/proof.ts";
import type { ExtensionPort, NodeRole, Session } from "./sync/session.ts";
import { CLAIM_BYTES, CLAIM_MAX, claimOf } from "./wire/claim.ts";
import { type Decoded, decodeFlow } from "./wire/decode.ts";
import { decodeExpectation } from "./wire/expectation.ts";
import { decodeExtension, EXT, ExtensionMessage } from "./wire/extension.ts";
import {
  CONTROL_BYTES,
  CT_DESTROY,
  CT_NEW,
  CTL,
  EXP_DESTROY,
  FRAME_TRUNCATED,
  frameLength,
  headerFlags,
  headerSeq,
  headerType,
  headerVersion,
  PROTOCOL_VERSION,
  rangeFrom,
  rangeTo,
} from "./wire/header.ts";

export type { Outbound } from "./replica-outbound.ts";

/** What the kernel told of a flow. */
export const EVENT_NEW = 1;
export const EVENT_UPDATE = 2;
export const EVENT_DESTROY = 3;

/** What an entry of a dump was to the internal cache. */
export type Entry = "ignored" | "peers" | "full" | "known" | "created" | "updated";

export class Replica {
  readonly internal: InternalCache;
  readonly external: ExternalCache;
  /** For whoever reads a dump of the kernel's table. */
  readonly recentEvents: RecentEvents;
  readonly expectations: ReplicaExpectations;
  readonly sessions: readonly Session[];
  readonly counters = new ReplicaCounters();
  /** Towards extended peers, by peer number. */
  readonly hosts: readonly (PeerHost | undefined)[];
  /** Whose a flow is that extended peers have as well. */
  readonly ownership: Ownership;
  readonly #datagrams = new Datagrams(this);
  #role: NodeRole = "unknown";
  /** Where the kernel follows the external cache. */
  readonly live: Live | undefined;
  readonly #repairs: readonly Repair[];
  readonly #filter: AddressFilter;
  readonly #stale: readonly StaleEntries[];
  readonly #received = new Flow();
  readonly #gone = new Flow();
  readonly #heard = new ExtensionMessage();

  constructor(options: ReplicaOptions) {
    const hash = new FlowHash(options.hashKey[0], options.hashKey[1]);
    this.internal = new InternalCache(options.flowsMax, hash, options.sessions.length);
    this.recentEvents = new RecentEvents(hash);
    const queue = options.live ? new ApplyQueue(options.flowsMax, hash) : undefined;
    this.external = new ExternalCache(options.flowsMax, hash, queue);
    this.live = queue && new Live(this, queue);
    this.#filter = options.filter;
    const { expectationsMax = 0, sessions } = options;
    this.expectations = new ReplicaExpectations({ ...options, expectationsMax, peers: sessions.length }, this, hash);
    this.sessions = options.sessions.map((session, peer) => session(this.expectations.ownerFor(peer)));
    this.hosts = this.sessions.map((session, peer) => {
      const { extension } = session;
      if (extension === undefined) return undefined;
      const host = new PeerHost(this, peer, session, extension, options.staleMs);
      extension.attach(host);
      return host;
    });
    this.ownership = new Ownership(this, this.sessions, hash);
    this.#repairs = this.sessions.map((session, peer) => new Repair(session, this.hosts[peer]));
    this.#stale = options.sessions.map((_, peer) => new StaleEntries(this.external, peer, options.staleMs));
  }

  /** What keepalived made of this node: extended peers are told. */
  get role(): NodeRole {
    return this.#role;
  }

  set role(role: NodeRole) {
    this.ownership.changes(this.#role, role);
    this.#role = role;
  }

  /** An event of our kernel: `kind` is EVENT_NEW, EVENT_UPDATE or EVENT_DESTROY. */
  kernelEvent(kind: number, flow: Flow, nowMs: number): void {
    this.recentEvents.note(flow.words);
    if (kind === EVENT_DESTROY) {
      const slot = this.internal.find(flow);
      if (slot >= 0) this.ended(slot, nowMs, flow);
      else this.live?.ended(flow, nowMs);
      this.ownership.left(flow);
      return;
    }
    if (this.#ignored(flow)) return;
    const before = this.internal.count;
    const slot = this.#store(kind === EVENT_NEW, false, flow, nowMs);
    if (slot < 0) return;
    const isNews = this.internal.count > before;
    if (isNews && flow.has(HAS_MASTER)) this.expectations.fulfilled(flow);
    if (this.ownership.active || (isNews && this.live !== undefined))
      this.ownership.moved(slot, flow, isNews, kind === EVENT_NEW, nowMs);
    this.live?.moved(flow);
    this.internal.announce(slot);
    this.#changed(slot);
  }

  /**
   * An entry of a dump of our kernel's table. The peers hear of it only if it tells something new, and is not a flow of theirs
   * ("peers"), which stands in our kernel because it was committed. `claims`: this node has taken over, and all is its own.
   */
  kernelEntry(flow: Flow, nowMs: number, claims = false): Entry {
    if (this.#ignored(flow)) return "ignored";
    if (!claims && this.#isPeers(flow)) {
      if (this.ownership.active) this.ownership.foundPeers(flow);
      this.live?.foundPeers(flow, nowMs);
      return "peers";
    }
    const { count, deadCount } = this.internal;
    const slot = this.#store(false, true, flow, nowMs);
    if (slot < 0) return "full";
    const created = this.internal.count > count;
    const released = this.live?.stored(slot, flow, created && this.internal.deadCount === deadCount, claims);
    if (this.ownership.active) this.ownership.found(slot, flow, created, claims);
    if (!this.internal.changed && !released) return "known";
    if (!claims) this.live?.moved(flow);
    if (!this.internal.isHeld(slot)) for (const session of this.sessions) session.found(slot);
    return created ? "created" : "updated";
  }

  /** The peers hear of the flow before all that can wait; false if it is not in the internal cache. */
  tellNow(flow: Flow): boolean {
    const slot = this.internal.find(flow);
    for (const session of this.sessions) if (slot >= 0 && session.isPostponed(slot)) session.changed(slot);
    return slot >= 0;
  }

  #isPeers(flow: Flow): boolean {
    return this.live?.isPeers(flow) || (this.ownership.active && this.ownership.isPeers(flow));
  }

  /** What an entry of our kernel is to the internal cache; the timer does not count. A peer's flow is ignored. Changes nothing. */
  compareEntry(flow: Flow): "ignored" | Comparison {
    return this.#filter.ignores(flow.words) || this.#isPeers(flow) ? "ignored" : this.internal.compare(flow);
  }

  /** Our kernel's whole table was read, and each flow found room. `reading`: what `ownership.reading` was when it began. */
  kernelRead(reading: number): void {
    this.ownership.kernelRead(reading);
    for (const { dirt } of this.sessions) dirt.settle("internal-full");
  }

  /** The flow in `slot` of the internal cache is no more in the kernel: its event told, with `flow`, or a reading of the table. */
  ended(slot: number, nowMs: number, flow?: Flow): void {
    if (flow === undefined) this.internal.read(slot, this.#gone, nowMs);
    const gone = flow ?? this.#gone;
    if (this.ownership.active) this.ownership.ended(slot, gone);
    this.withdraw(slot);
    this.live?.ended(gone, nowMs);
  }

  /** The peers are told that the flow in `slot` of the internal cache is not ours any more, and nothing after that. */
  withdraw(slot: number): void {
    if (this.internal.lifeOf(slot) === DEAD) return;
    if (this.internal.isHeld(slot)) {
      this.internal.drop(slot); // Nobody was told of it.
      return;
    }
    this.internal.kill(slot);
    this.#changed(slot);
  }

  /** A datagram from a peer: `length` bytes of `view` from `at` on. */
  datagram(peer: number, view: DataView, at: number, length: number, nowMs: number): void {
    const end = at + length;
    const wire = this.counters.wire;
    wire.datagrams++;
    if (length === 0) wire.truncated++;
    while (at < end) {
      const bytes = frameLength(view, at, end);
      if (bytes < 0) {
        if (bytes === FRAME_TRUNCATED) wire.truncated++;
        else wire.badSize++;
        return;
      }
      if (headerVersion(view, at) !== PROTOCOL_VERSION) wire.badVersion++;
      else this.#message(peer, view, at, bytes, nowMs);
      at += bytes;
    }
  }

  /** What is known of the equality of our internal cache and the peer's external one. */
  proof(peer: number): Proof {
    return this.hosts[peer]?.proof ?? NO_PROOF;
  }

  /** The same of the peer's internal cache and our external one: whether we hold all that it has. */
  held(peer: number): Proof {
    return this.hosts[peer]?.held ?? NO_PROOF;
  }

  /** Compares with the peer as soon as may be; `proof` then says what came of it. */
  prove(peer: number): void {
    this.hosts[peer]?.prove();
  }

  tick(nowMs: number): void {
    const hasRoom = this.external.count < this.internal.flowsMax;
    for (let peer = 0; peer < this.sessions.length; peer++) {
      const session = this.sessions[peer];
      session.tick(nowMs);
      this.counters.cache.externalStale += this.#stale[peer].tick(session.requests, session.requestsAnswered, nowMs);
      this.#repairs[peer].tick(hasRoom, nowMs);
      this.hosts[peer]?.tick(nowMs);
    }
    this.expectations.tick(nowMs);
  }

  nextDueMs(nowMs: number): number {
    let due = this.expectations.dueMs;
    for (const session of this.sessions) due = Math.min(due, session.nextDueMs(nowMs));
    for (const stale of this.#stale) due = Math.min(due, stale.dueMs);
    return due;
  }

  /** Fills datagrams with what this peer must hear; true while more waits than `out` has room for. */
  transmit(peer: number, out: Outbound, nowMs: number): boolean {
    return this.#datagrams.fill(peer, out, nowMs);
  }

  /** Empties the internal caches, silently: the peers keep what they have. How many flows there were. */
  flushInternal(): number {
    const flows = this.internal.count;
    for (const session of this.sessions) session.retain(() => false);
    for (const host of this.hosts) host?.flushed();
    this.internal.clear();
    this.ownership.flushed("internal");
    this.expectations.internal.clear();
    return flows;
  }

  flushExternal(): number {
    const flows = this.external.count;
    this.external.clear();
    this.expectations.external.clear();
    this.ownership.flushed("external");
    return flows;
  }

  /** A flow that became ours to ignore, by a new address of this machine, is taken back. */
  #ignored(flow: Flow): boolean {
    if (!this.#filter.ignores(flow.words)) return false;
    this.counters.cache.ignored++;
    const slot = this.internal.find(flow);
    if (slot >= 0) this.withdraw(slot);
    return true;
  }

  /** Slot of the flow, or -1: the cache is full, also of dead flows that a peer still has to hear of. */
  #store(isNew: boolean, isWhole: boolean, flow: Flow, nowMs: number): number {
    let slot = isNew ? this.internal.create(flow, nowMs) : this.internal.upsert(flow, nowMs, isWhole);
    if (slot < 0 && this.internal.deadCount > 0) {
      this.#forgetDead(nowMs);
      slot = isNew ? this.internal.create(flow, nowMs) : this.internal.upsert(flow, nowMs, isWhole);
    }
    if (slot < 0) {
      this.counters.cache.internalFull++;
      this.ownership.overlooked();
      for (const { dirt } of this.sessions) dirt.mark("internal-full", nowMs);
    }
    return slot;
  }

  /** Room for the living: a peer that was away too long is not told any more which flows ended. */
  #forgetDead(nowMs: number): void {
    for (const session of this.sessions) {
      session.dirt.mark("destroys-forgotten", nowMs);
      session.retain((slot) => this.expectations.isOurs(slot) || this.internal.lifeOf(slot) !== DEAD);
    }
    for (let slot = this.internal.nextDead(0); slot >= 0; slot = this.internal.nextDead(slot + 1)) {
      for (const host of this.hosts) host?.told.forget(slot);
      this.internal.drop(slot);
      this.counters.cache.destroysForgotten++;
    }
  }

  #changed(slot: number): void {
    for (const session of this.sessions) session.changed(slot);
  }

  #message(peer: number, view: DataView, at: number, bytes: number, nowMs: number): void {
    const session = this.sessions[peer];
    const wire = this.counters.wire;
    wire.messages++;
    const type = headerType(view, at);
    const seq = headerSeq(view, at);
    if (type === EXT && session.extension !== undefined) {
      this.#extension(session, session.extension, view, at, bytes, nowMs);
      return;
    }
    const { extended } = session;
    let expectation: Expectation | undefined;
    let decoded: Decoded = "ok";
    const claim = type <= CT_DESTROY && extended ? claimOf(view, at, bytes) : 0;
    if (claim > CLAIM_MAX) decoded = "badPayload";
    else if (type <= CT_DESTROY)
      decoded = decodeFlow(view, at, claim === 0 ? bytes : bytes - CLAIM_BYTES, this.#received, extended);
    else if (type <= EXP_DESTROY) {
      const read = decodeExpectation(view, at, bytes, extended);
      if (typeof read === "string") decoded = read;
      else expectation = read;
    }
    if (decoded !== "ok") {
      wire[decoded]++;
      session.unreadable(seq, nowMs);
      return;
    }
    const isRange = type === CTL && bytes >= CONTROL_BYTES;
    const from = isRange ? rangeFrom(view, at) : 0;
    const to = isRange ? rangeTo(view, at) : 0;
    const verdict = session.receive(type, headerFlags(view, at), seq, from, to, nowMs);
    if (verdict !== "deliver") {
      wire[verdict]++;
      return;
    }
    if (expectation !== undefined) this.expectations.learn(type, expectation, peer, nowMs);
    else if (type !== CTL) this.#learn(type, peer, claim || WEAK, nowMs);
  }

  #extension(session: Session, port: ExtensionPort, view: DataView, at: number, bytes: number, nowMs: number): void {
    const wire = this.counters.wire;
    const seq = headerSeq(view, at);
    const decoded = decodeExtension(view, at, bytes, this.#heard);
    if (decoded === "badPayload") {
      wire.badPayload++;
      session.unreadable(seq, nowMs);
      return;
    }
    const verdict = port.receive(decoded === "ok" ? this.#heard : null, headerFlags(view, at), seq, nowMs);
    if (verdict !== "deliver") wire[verdict]++;
    else if (decoded === "ok") wire.extensionsReceived++;
    else wire.extensionsUnknown++;
  }

  #learn(type: number, peer: number, claim: number, nowMs: number): void {
    this.counters.wire.flowsReceived++;
    const isClaimed = this.sessions[peer].extended;
    if (isClaimed && type !== CT_DESTROY) this.ownership.heard(this.#received, peer, claim);
    if (type === CT_DESTROY) {
      if (isClaimed) this.ownership.heardEnd(this.#received, claim);
      if (!this.external.destroy(this.#received, peer)) this.counters.cache.externalUnknown++;
    } else if (
      type === CT_NEW
        ? !this.external.create(this.#received, nowMs, peer)
        : !this.external.update(this.#received, nowMs, peer)
    ) {
      this.counters.cache.externalFull++;
      this.sessions[peer].dirt.mark("external-full", nowMs);
    } else {
      if (isClaimed) this.ownership.stored(this.external.toldSlot, claim);
      this.live?.heard(this.#received, peer, nowMs);
    }
  }
}
