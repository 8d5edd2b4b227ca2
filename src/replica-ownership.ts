/**
 * Who announces a flow that two ctsync nodes have: the one with the higher claim (decisions of src/sync).
 *
 *   1         it stood in a dump of the kernel's table: WEAK
 *   2 …       it moved in the node's kernel, or the node has taken over: the node's clock at that time
 *
 * The clock is never behind a claim that was heard, and ahead of the peer's claim on a flow that moves here; a takeover makes it go
 * ahead of all that was heard. A claim goes with each announcement, and stays as it is for as long as the node announces the
 * flow. Two that are equal belong to two lives, of which the higher epoch counts. Whoever hears a higher claim than its own
 * withdraws its own, as if the flow had ended; whoever hears a lower one says its own once more.
 *
 * What the external cache holds and we do not announce is not ours by a dump: it is why a flow that was committed stands there.
 */
import { DEAD } from "./cache/internal.ts";
import { Flow, HAS, HAS_NAT } from "./flow/flow.ts";
import { overlay } from "./flow/merge.ts";
import type { Replica } from "./replica.ts";
import type { Epoch, Session } from "./sync/session.ts";

export const WEAK = 1;
const FIRST = 2;
const LAST = 0xffffffff;

export class Ownership {
  /** There are peers that know the rule. */
  readonly active: boolean;
  /** The kernel's table has to be read for what only it can say; whoever reads it clears this. */
  wantsReading = false;
  readonly #replica: Replica;
  readonly #sessions: readonly Session[];
  /** Claims by slot of the internal and of the external cache. */
  readonly #ours: Uint32Array;
  readonly #theirs: Uint32Array;
  /** 1: what this slot of the external cache holds stands in our kernel too, as was seen there. */
  readonly #stands: Uint8Array;
  readonly #scratch = new Flow();
  #clock = FIRST;

  constructor(replica: Replica, sessions: readonly Session[]) {
    this.active = sessions.some(({ extended }) => extended);
    this.#replica = replica;
    this.#sessions = sessions;
    const slots = this.active ? replica.internal.flowsMax : 0;
    this.#ours = new Uint32Array(slots);
    this.#theirs = new Uint32Array(slots);
    this.#stands = new Uint8Array(slots);
    if (this.active) replica.external.onRemove = (slot) => this.#letGo(slot);
  }

  /** keepalived made this node primary: what it claims from now on goes before whatever was heard. */
  takesOver(): void {
    this.#advance(this.#clock + 1);
  }

  get clock(): number {
    return this.#clock;
  }

  /** The clock of a peer. */
  heardClock(clock: number): void {
    this.#advance(clock);
  }

  claimOn(slot: number): number {
    return this.#ours[slot] || WEAK;
  }

  /** A peer announced the flow, with this claim. */
  heard(flow: Flow, peer: number, claim: number): void {
    this.#advance(claim);
    const { internal, counters } = this.#replica;
    if (internal.count === 0) return;
    const slot = internal.find(flow);
    if (slot < 0 || internal.lifeOf(slot) === DEAD) return;
    const session = this.#sessions[peer];
    if (claim < this.#ours[slot] || (claim === this.#ours[slot] && isAhead(session))) {
      session.changed(slot);
      return;
    }
    // Nobody knows yet whose epoch is higher, so both may yield.
    if (claim === this.#ours[slot] && session.peerEpoch === null) this.wantsReading = true;
    counters.cache.yielded++;
    this.#yields = true;
    this.#replica.ended(slot);
  }
  #yields = false;

  /** What the peer announced lies in `slot` of the external cache now. */
  stored(slot: number, claim: number): void {
    this.#theirs[slot] = claim;
    if (this.#yields) this.#stands[slot] = 1;
    this.#yields = false;
  }

  /** Whether a flow of a dump is a peer's: the external cache has it, and we do not announce it. */
  isPeers(flow: Flow): boolean {
    const { internal, external } = this.#replica;
    const known = external.find(flow);
    if (known < 0 || !this.#sessions[external.peerOf(known)].extended) return false;
    const own = internal.find(flow);
    if (own >= 0 && internal.lifeOf(own) !== DEAD) return false;
    this.#stands[known] = 1;
    return true;
  }

  /** The kernel saw the flow in `slot` move; it was not ours before if `isNews`. `isWhole`: the event says all there is. */
  moved(slot: number, event: Flow, isNews: boolean, isWhole: boolean, nowMs: number): void {
    if (!isNews && this.#ours[slot] !== WEAK) return;
    const { external, counters } = this.#replica;
    const known = external.count === 0 ? -1 : external.find(event);
    if (known >= 0) this.#advance(this.#theirs[known] + 1);
    this.#ours[slot] = this.#clock;
    if (!isNews || isWhole) return;
    // An update says only what changed. Until the kernel has been read, the rest is what the peer told.
    counters.cache.halfKnown++;
    this.wantsReading = true;
    if (known >= 0) this.#complete(slot, known, event, nowMs);
  }

  /** An entry of a dump lies in `slot` now. `claims`: this node has taken over. */
  found(slot: number, isNews: boolean, claims: boolean): void {
    if (claims) this.#ours[slot] = this.#clock;
    else if (isNews) this.#ours[slot] = WEAK;
  }

  #complete(slot: number, known: number, update: Flow, nowMs: number): void {
    const { internal, external } = this.#replica;
    const flow = this.#scratch;
    external.read(known, flow, nowMs);
    overlay(flow.words, update.words);
    flow.words[HAS] &= ~HAS_NAT;
    internal.rewrite(slot, flow);
  }

  /** The flow in `slot` leaves the external cache: if it stands in our kernel, and nobody else announces it, it is ours. */
  #letGo(slot: number): void {
    if (this.#stands[slot] === 0) return;
    this.#stands[slot] = 0;
    this.wantsReading = true;
  }

  /** The external cache was emptied. */
  flushed(): void {
    this.#stands.fill(0);
  }

  #advance(clock: number): void {
    if (clock > this.#clock) this.#clock = Math.min(clock, LAST);
  }
}

/** Our epoch is known to be higher than the peer's. */
function isAhead({ extension, peerEpoch }: Session): boolean {
  return extension !== undefined && peerEpoch !== null && isHigher(extension.ownEpoch, peerEpoch);
}

const isHigher = (a: Epoch, b: Epoch): boolean => a.high > b.high || (a.high === b.high && a.low > b.low);
