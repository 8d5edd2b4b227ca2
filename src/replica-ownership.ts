/**
 * Who announces a flow that two ctsync nodes have: the one with the higher claim (decisions of src/sync).
 *
 *   1         it stood in a dump of the kernel's table of a backup: WEAK
 *   2         it stood in that of a node whose role is not said: UNSAID
 *   3 …       it moved in the node's kernel, or the node has taken over: the node's clock at that time
 *
 * The clock is a number of reigns (its high half) and of steps in this one (its low half).
 * The clock is never behind a claim that was heard, and ahead of the peer's claim on a flow that moves here; a takeover begins
 * a reign after all that were heard of. A claim goes with each announcement, and stays as it is for as long as the node announces the
 * flow. Two that are equal belong to two lives, of which the higher epoch counts. Whoever hears a higher claim than its own
 * withdraws its own, as if the flow had ended; whoever hears a lower one says its own once more.
 *
 * What the external cache holds and we do not announce is not ours by a dump: it is why a flow that was committed stands there.
 */
import { DEAD } from "./cache/internal.ts";
import { Flow, HAS, HAS_NAT } from "./flow/flow.ts";
import { overlay } from "./flow/merge.ts";
import type { Replica } from "./replica.ts";
import { Standing } from "./replica-standing.ts";
import type { Epoch, NodeRole, Session } from "./sync/session.ts";
import { CLAIM_MAX } from "./wire/claim.ts";

export const WEAK = 1;
const UNSAID = 2;
const FIRST = 3;
const REIGN = 2 ** 32;

export class Ownership {
  /** There are peers that know the rule. */
  readonly active: boolean;
  /** The kernel's table has to be read for what only it can say, and all that stands there claimed; whoever reads it clears both. */
  wantsReading = false;
  wantsClaims = false;
  readonly #replica: Replica;
  readonly #sessions: readonly Session[];
  /** Claims by slot of the internal and of the external cache. */
  readonly #ours: Float64Array;
  readonly #theirs: Float64Array;
  /** What our kernel shows of the external cache's flows. */
  readonly #standing: Standing;
  readonly #scratch = new Flow();
  #clock = FIRST;
  #reign = 0;
  /** A peer took a flow from us that we had found in our kernel when our role was not said. */
  #isBeaten = false;

  constructor(replica: Replica, sessions: readonly Session[]) {
    this.active = sessions.some(({ extended }) => extended);
    this.#replica = replica;
    this.#sessions = sessions;
    const slots = this.active ? replica.internal.flowsMax : 0;
    this.#ours = new Float64Array(slots);
    this.#theirs = new Float64Array(slots);
    this.#standing = new Standing(slots);
    if (this.active) replica.external.onRemove = (slot) => this.#letGo(slot);
  }

  /** keepalived's word: as primary, what this node claims from now on goes before whatever was heard. */
  changes(before: NodeRole, role: NodeRole): void {
    if (role === "master" && before !== "master") this.#takesOver();
    if (this.#replica.live !== undefined) this.kernelWritten(); // The kernel begins or ceases to follow the peer.
  }

  #takesOver(): void {
    this.#reign = reignOf(this.#clock) + 1;
    this.#advance(this.#reign * REIGN);
  }

  get clock(): number {
    return this.#clock;
  }

  /** The last reign that this node began; 0: none. */
  get reign(): number {
    return this.#reign;
  }

  /**
   * The clock of a peer, the last reign that it began, and its role. If we had not heard of that reign when ours began, and the
   * peer is primary no more, ours is the later one all the same: it begins once more, and all that stands in our kernel is claimed
   * again. So it is where our role is not said, as our daemon started anew, nobody else is primary, and such a peer took from us
   * what we had found in our kernel: it has not heard of the reign that our last life began.
   */
  heardClock(clock: number, reign: number, role: NodeRole): void {
    this.#advance(clock);
    const own = this.#replica.role;
    if ((own !== "master" && own !== "unknown") || role === "master" || role === "unknown") return;
    if (own === "unknown" && !this.#sessions.every(({ peerRole }) => peerRole !== "master" && peerRole !== "unknown"))
      return;
    const isNews = reign > 0 && reign >= this.#reign;
    if (!isNews && !(own === "unknown" && this.#isBeaten)) return;
    this.#isBeaten = false;
    this.#takesOver();
    this.wantsReading = true;
    this.wantsClaims = true;
  }

  claimOn(slot: number): number {
    return this.#ours[slot] || WEAK;
  }

  /** A peer announced the flow, with this claim. */
  heard(flow: Flow, peer: number, claim: number): void {
    this.#advance(claim);
    if (this.#yields) this.#standing.forget(); // What was yielded last found no room.
    this.#yields = false;
    const { internal, counters } = this.#replica;
    if (internal.count === 0) return;
    const slot = internal.find(flow);
    if (slot < 0 || internal.lifeOf(slot) === DEAD) return;
    const session = this.#sessions[peer];
    const isHeld = internal.isHeld(slot);
    if (claim < this.#ours[slot] || (claim === this.#ours[slot] && isAhead(session))) {
      if (isHeld) this.#replica.live?.release(slot);
      else session.changed(slot);
      return;
    }
    if (isHeld) return; // Nobody was told of it: it goes as replica-live.ts says.
    // Nobody knows yet whose epoch is higher, so both may yield.
    if (claim === this.#ours[slot] && session.peerEpoch === null) this.wantsReading = true;
    counters.cache.yielded++;
    if (this.#ours[slot] === UNSAID && claim >= FIRST) this.#isBeaten = true;
    this.#yields = true;
    this.#replica.ended(slot);
  }
  #yields = false;

  /** What the peer announced lies in `slot` of the external cache now. */
  stored(slot: number, claim: number): void {
    this.#theirs[slot] = claim;
    if (this.#yields) this.#standing.put(slot);
    this.#yields = false;
  }

  get #reigns(): boolean {
    return this.#replica.role === "master";
  }

  /** The least claim on what stands in our kernel. */
  get #least(): number {
    if (this.#reigns) return this.#reign * REIGN;
    return this.#replica.role === "unknown" ? UNSAID : WEAK;
  }

  /**
   * Whether a flow of a dump is a peer's: the external cache has it, we do not announce it, and it has not moved here since our
   * kernel showed it last.
   */
  isPeers(flow: Flow): boolean {
    const { internal, external } = this.#replica;
    const known = external.find(flow);
    if (known < 0 || !this.#sessions[external.peerOf(known)].extended) return false;
    if (this.#theirs[known] < this.#least) return false; // It only stands there, or has not moved there since we are primary.
    const own = internal.find(flow);
    if (own >= 0 && internal.lifeOf(own) !== DEAD) return false;
    return !this.#hasMoved(known, flow);
  }

  /** An entry of a dump is the peer's. */
  foundPeers(entry: Flow): void {
    const known = this.#replica.external.find(entry);
    if (known < 0) return;
    if (this.#follows) this.#standing.put(known);
    else this.#standing.show(known, entry.words);
  }

  /** Whether it is of our own doing what stands in our kernel. */
  get #follows(): boolean {
    return this.#replica.live?.queue.active === true;
  }

  #hasMoved(known: number, { words }: Flow): boolean {
    return !this.#follows && this.#standing.hasMoved(known, words);
  }

  /** Our kernel was, or is about to be, written to by ourselves: what stands there then has not moved. */
  kernelWritten(): void {
    this.#standing.wrote();
  }

  /** To be given to `kernelRead` at the end of a reading of the whole table that begins now. */
  get reading(): number {
    return this.#standing.generation;
  }

  kernelRead(reading: number): void {
    if (!this.#follows) this.#standing.wasRead(reading);
  }

  /** An event told that the flow has ended in our kernel. */
  left(flow: Flow): void {
    if (this.active && this.#reigns) this.#replica.endedFlows.note(flow.words);
    if (this.#standing.count === 0) return;
    const known = this.#replica.external.find(flow);
    if (known >= 0) this.#standing.leave(known);
  }

  /** A flow of our kernel found no room in the internal cache. */
  overlooked(): void {
    this.#standing.forget();
  }

  /** The kernel saw the flow in `slot` move; it was not ours before if `isNews`. `isWhole`: the event says all there is. */
  moved(slot: number, event: Flow, isNews: boolean, isWhole: boolean, nowMs: number): void {
    if (!isNews && this.#ours[slot] >= FIRST) return;
    const { external, counters } = this.#replica;
    const known = external.count === 0 ? -1 : external.find(event);
    if (this.active) this.#claim(slot, known);
    if (!isNews || isWhole) return;
    // An update says only what changed. Until the kernel has been read, the rest is what the peer told, unless we put it there.
    counters.cache.halfKnown++;
    if (known >= 0) this.#complete(slot, known, event, nowMs);
    if (known < 0 ? this.active : !this.#replica.live?.queue.isSettled(known)) this.wantsReading = true;
  }

  /** It moved here after all that was heard of it: it is ours. */
  #claim(slot: number, known: number): void {
    if (known >= 0) {
      this.#advance(this.#theirs[known] + 1);
      this.#standing.leave(known);
    }
    this.#ours[slot] = this.#clock;
  }

  /** An entry of a dump lies in `slot` now. `claims`: this node has taken over. */
  found(slot: number, entry: Flow, isNews: boolean, claims: boolean): void {
    const before = this.#ours[slot];
    const known = isNews && !claims ? this.#replica.external.find(entry) : -1;
    if (isNews && !claims && this.#hasMoved(known, entry)) this.#claim(slot, known);
    else if (claims || (isNews && this.#reigns)) this.#ours[slot] = this.#clock;
    else if (isNews) this.#ours[slot] = this.#least;
    if (claims && this.#ours[slot] !== before) for (const session of this.#sessions) session.changed(slot);
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
    if (!this.#standing.stands(slot)) return;
    this.#standing.leave(slot);
    this.#standing.forget();
    const { live } = this.#replica;
    if (live?.queue.active && !live.inDoubt) return; // It leaves our kernel too.
    this.wantsReading = true;
  }

  /** What lies in `slot` of the external cache has become ours, in all its parts. */
  adopted(slot: number): void {
    this.#standing.leave(slot);
  }

  /** One of the caches was emptied. */
  flushed(cache: "internal" | "external"): void {
    if (cache === "external") this.#standing.clear();
    else this.#standing.forget();
  }

  #advance(clock: number): void {
    if (clock > this.#clock) this.#clock = Math.min(clock, CLAIM_MAX);
  }
}

const reignOf = (claim: number): number => Math.floor(claim / REIGN);

/** Our epoch is known to be higher than the peer's. */
function isAhead({ extension, peerEpoch }: Session): boolean {
  return extension !== undefined && peerEpoch !== null && isHigher(extension.ownEpoch, peerEpoch);
}

const isHigher = (a: Epoch, b: Epoch): boolean => a.high > b.high || (a.high === b.high && a.low > b.low);
