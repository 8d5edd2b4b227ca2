/**
 * Who announces a flow that two ctsync nodes have: the one with the higher claim (decisions of src/sync; `sync/claim.ts` says
 * what a claim is). The clock is ahead of every claim that was heard, and never behind a clock that was. A claim goes with each
 * announcement, and stays as it is, or becomes higher, for as long as the node announces the flow.
 * Whoever hears a higher claim than its own withdraws its own, as if the flow had ended; whoever hears a lower one says its own once more.
 * What the external cache holds and we do not announce is not ours by a dump: it is why a flow that was committed stands there.
 * When two were primary, the one that stays takes on what moved at the other one and has not ended here.
 */
import type { FlowHash } from "./cache/hash.ts";
import { DEAD } from "./cache/internal.ts";
import { SeenFlows } from "./cache/seen-flows.ts";
import { Flow, HAS, HAS_NAT } from "./flow/flow.ts";
import { overlay } from "./flow/merge.ts";
import type { Replica } from "./replica.ts";
import { Standing } from "./replica-standing.ts";
import { FIRST, FOUND, hasMoved, isAhead, isFound, reignOf, UNSAID, WEAK } from "./sync/claim.ts";
import { acknowledgedTo, Contact } from "./sync/contact.ts";
import { type KeptReign, Reign } from "./sync/reign.ts";
import type { NodeRole, Session } from "./sync/session.ts";
import { CLAIM_MAX } from "./wire/claim.ts";

const MAY_REIGN: ReadonlySet<NodeRole> = new Set(["master", "unknown"]);

export class Ownership {
  /** There are peers that know the rule. */
  readonly active: boolean;
  /** The kernel's table has to be read for what only it can say, and all that stands there claimed; whoever reads it clears both. */
  wantsReading = false;
  wantsClaims = false;
  /** A peer was primary beside this node, and is no more: what it let in is to be taken on; whoever does so clears it. */
  wantsTakingOn = false;
  /** The last reign that this node began. */
  readonly reigning = new Reign();
  readonly #seenFlows: SeenFlows;
  readonly #replica: Replica;
  readonly #sessions: readonly Session[];
  /** Claims by slot of the internal and of the external cache. */
  readonly #ours: Float64Array;
  readonly #theirs: Float64Array;
  /** What our kernel shows of the external cache's flows. */
  readonly #standing: Standing;
  readonly #scratch = new Flow();
  #clock = FIRST;
  /** A peer took a flow from us that we had found in our kernel when our role was not said. */
  #isBeaten = false;
  readonly #contact = new Contact();
  /** Some of what the peer announces was not taken on, as our kernel has, or had, something newer. */
  #keeps = false;
  /** The last reign of each peer that is known to be over. */
  readonly #over: number[];

  constructor(replica: Replica, sessions: readonly Session[], hash: FlowHash) {
    this.active = sessions.some(({ extended }) => extended);
    this.#replica = replica;
    this.#sessions = sessions;
    this.#seenFlows = new SeenFlows(hash);
    this.#over = sessions.map(() => 0);
    const slots = this.active ? replica.internal.flowsMax : 0;
    this.#ours = new Float64Array(slots);
    this.#theirs = new Float64Array(slots);
    this.#standing = new Standing(slots);
    if (this.active) replica.external.onRemove = (slot) => this.#letGo(slot);
  }

  /** keepalived's word: as primary, what this node claims from now on goes before whatever was heard. */
  changes(before: NodeRole, role: NodeRole): void {
    if (role === "master" && before !== "master") this.#advance(this.reigning.begin(this.#clock));
    if (this.#replica.live !== undefined) this.kernelWritten(); // The kernel begins or ceases to follow the peer.
  }

  /** Our daemon has just been started anew, and the one before it was primary: its reign goes on. */
  resume(kept: KeptReign): void {
    this.#advance(this.reigning.resume(kept));
  }

  get clock(): number {
    return this.#clock;
  }

  /**
   * The clock of a peer, the last reign that it began, and its role. A reign that is over leaves what it let in to the node that is
   * primary still: that one takes it on, once, and then calls `tookOn`. Where our role is not said, as our daemon started anew, and
   * nobody else is primary, there is nothing to take on: what stands in our kernel is claimed again. So it is, too, if such a peer
   * took from us what we had found in our kernel: it has not heard of the reign that our last life began.
   */
  heardClock(peer: number, clock: number, reign: number, role: NodeRole): void {
    this.#advance(clock); // What moves from now on moved after that.
    this.#advance(this.#contact.heard(this.#clock, this.#reigns ? this.#clock + 1 : this.#clock));
    if (MAY_REIGN.has(role)) return;
    if (this.#reigns && reign !== 0 && reign !== this.#over[peer]) this.wantsTakingOn = true;
    this.#over[peer] = reign;
    if (!this.#isUnsaid) return;
    if (this.#isBeaten) this.#beginsAnew();
    this.tookOn();
  }

  /**
   * If we had not heard of a peer's reign when ours began, and the peer is primary no more, ours is the later one all the same: it
   * begins once more, and all that stands in our kernel, with what the peer saw last, is claimed again. The same if it announces
   * flows that we saw later ourselves.
   */
  tookOn(): void {
    const reign = this.#keeps ? CLAIM_MAX : Math.max(...this.#over);
    this.#keeps = false;
    const isNews = reign > 0 && reign >= this.reigning.number;
    if (isNews && MAY_REIGN.has(this.#replica.role)) this.#beginsAnew();
  }

  #beginsAnew(): void {
    this.#isBeaten = false;
    this.#advance(this.reigning.begin(this.#clock));
    this.wantsReading = true;
    this.wantsClaims = true;
  }

  /**
   * Whether each peer knows within moments what it is told. What moves while that is not so gets a claim that shows it. Once it is so
   * again, and the peer's clock was heard, ours jumps ahead of all that it claimed meanwhile. `isSilent`: nothing is heard of a peer.
   */
  inContact(isInContact: boolean, isSilent = !isInContact): void {
    const known = (from: number) =>
      acknowledgedTo(this.#sessions, this.#ours, this.#replica.internal.slotsEnd, from, this.#clock);
    this.#contact.look(isInContact, isSilent, known);
    if (this.#reigns) this.#advance(Math.max(this.#contact.ask(this.#sessions, this.#clock), this.#contact.lost + 1));
  }

  /** In contact, once in its time: what moved before the last call is known to all. */
  turn(): void {
    this.#seenFlows.turn();
    this.#contact.turn(this.#clock);
  }

  claimOn(slot: number): number {
    return this.#ours[slot] || WEAK;
  }

  /** A peer announced the flow, with this claim. */
  heard(flow: Flow, peer: number, claim: number): void {
    this.#advance(claim + 1);
    if (this.#yields) this.#standing.forget(); // What was yielded last found no room.
    this.#yields = false;
    const { internal, counters } = this.#replica;
    const known = this.#contact.isLate(claim) ? CLAIM_MAX : this.#contact.lost;
    if (this.#reigns && hasMoved(claim)) this.#seenFlows.claimed(flow.words, claim, known);
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
    if (hasMoved(this.#ours[slot])) {
      if (this.#goesOnHere(slot, claim)) {
        this.#ours[slot] = this.#clock;
        session.changed(slot);
        return;
      }
      if (this.#reigns && hasMoved(claim) && !this.#isKnown(slot, claim, session))
        this.#seenFlows.note(flow.words, claim);
    }
    // Nobody knows yet whose epoch is higher, so both may yield.
    if (claim === this.#ours[slot] && session.peerEpoch === null) this.wantsReading = true;
    counters.cache.yielded++;
    if (this.#ours[slot] === UNSAID && claim >= FIRST) this.#isBeaten = true;
    this.#yields = true;
    this.#replica.withdraw(slot);
  }
  #yields = false;

  /**
   * The flow in `slot` has moved here, and the peer cannot know: it took over what it knew. Or our daemon and its clock started
   * anew, and the peer, which is not primary, claimed before it heard of that.
   */
  #goesOnHere(slot: number, claim: number): boolean {
    const { lost } = this.#contact;
    if (this.#reigns) return !hasMoved(claim) && lost > 0 && this.#ours[slot] > lost && !this.#contact.isLate(claim);
    return this.#isUnsaid && this.#contact.isBefore(claim);
  }

  /** Our role is not said, as our daemon started anew, and nobody else is primary. */
  get #isUnsaid(): boolean {
    return this.#replica.role === "unknown" && this.#sessions.every(({ peerRole }) => !MAY_REIGN.has(peerRole));
  }

  /** The peer claims the flow in `slot` knowing that it moved here. */
  #isKnown(slot: number, claim: number, { extension }: Session): boolean {
    const ours = this.#ours[slot];
    if (!this.#contact.isAcknowledged(ours) && extension?.isSettled(slot) !== true) return false;
    return ours <= this.#contact.lost || this.#contact.isLate(claim);
  }

  /** The flow has ended at a peer that had this claim on it. If it was the last to see it, what we have merely stands here. */
  heardEnd(flow: Flow, claim: number): void {
    this.#advance(claim + 1);
    const { internal } = this.#replica;
    const slot = this.#reigns && internal.count > 0 ? internal.find(flow) : -1;
    if (
      slot < 0 ||
      internal.lifeOf(slot) === DEAD ||
      this.#ours[slot] <= this.reigning.base ||
      claim <= this.#ours[slot]
    )
      return;
    this.#ours[slot] = this.reigning.base;
    for (const session of this.#sessions) session.changed(slot);
  }

  /** What the peer announced lies in `slot` of the external cache now. */
  stored(slot: number, claim: number): void {
    // Found by a daemon that goes on with a reign: what the one before it claimed says whether it had moved there.
    if (!isFound(claim) || reignOf(this.#theirs[slot]) < reignOf(claim)) this.#theirs[slot] = claim;
    if (this.#yields) this.#standing.put(slot);
    this.#yields = false;
  }

  get #reigns(): boolean {
    return this.#replica.role === "master";
  }

  /** The least claim on what stands in our kernel. */
  get #least(): number {
    if (!MAY_REIGN.has(this.#replica.role)) return WEAK;
    return this.#reigns || this.reigning.isResumed ? this.reigning.stands : UNSAID;
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
    this.reigning.kernelRead();
    if (!this.#follows) this.#standing.wasRead(reading);
  }

  /** An event told that the flow has ended in our kernel. */
  left(flow: Flow): void {
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
    const isOurs = !isNews && (!this.active || this.#ours[slot] >= FIRST);
    if (this.active) this.#ours[slot] = this.#clock;
    if (isOurs) return;
    const { external, counters } = this.#replica;
    const known = external.count === 0 ? -1 : external.find(event);
    if (this.active) this.#claim(slot, known);
    if (!isNews || isWhole) return;
    // An update says only what changed. Until the kernel has been read, the rest is what the peer told, unless we put it there.
    counters.cache.halfKnown++;
    if (known >= 0) {
      const whole = this.#scratch;
      external.read(known, whole, nowMs);
      overlay(whole.words, event.words);
      whole.words[HAS] &= ~HAS_NAT;
      this.#replica.internal.rewrite(slot, whole);
    }
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

  /** The timer of the flow in `slot` was renewed without an event. It matters where another node is primary too: it moves here. */
  renewed(slot: number): void {
    if (!this.#reigns || this.#ours[slot] > this.reigning.base + FOUND) return;
    if (!this.#sessions.some(({ peerRole }) => peerRole === "master")) return;
    this.#ours[slot] = this.#clock;
    for (const session of this.#sessions) session.changed(slot);
  }

  /**
   * An entry of a dump lies in `slot` now. `claims`: this node has taken over; what moved here before has moved in this reign too.
   * One that has begun or changed here since our kernel showed it last has moved, whoever told of it.
   */
  found(slot: number, entry: Flow, isNews: boolean, claims: boolean): void {
    const before = isNews ? 0 : this.#ours[slot];
    const known = isNews ? this.#replica.external.find(entry) : -1;
    const base = this.reigning.number === 0 ? this.#clock : this.reigning.base;
    if (isNews && this.#hasMoved(known, entry)) this.#claim(slot, known);
    else if (claims) this.#ours[slot] = Math.max(before, hasMoved(before) ? base + FOUND + 1 : base);
    else if (isNews) this.#ours[slot] = this.#least;
    if (claims && this.#ours[slot] !== before) for (const session of this.#sessions) session.found(slot);
  }

  /** The flow in `slot`, which we announce, has ended in our kernel. An entry that is a peer's ends there without a meaning. */
  ended(slot: number, flow: Flow): void {
    const { internal } = this.#replica;
    if (!this.#reigns || internal.lifeOf(slot) === DEAD || internal.isHeld(slot)) return;
    this.#seenFlows.note(flow.words, this.#ours[slot]);
    this.#advance(this.#ours[slot] + 1);
  }

  /** Whether the peer's kernel was the last to see the flow, which lies in `known` of the external cache, and it lives there. */
  isToTakeOn(known: number, flow: Flow): boolean {
    const { internal, external } = this.#replica;
    if (!this.active || !this.#sessions[external.peerOf(known)].extended) return false;
    const claim = this.#theirs[known];
    if (!hasMoved(claim) && !isFound(claim)) return false;
    const own = internal.count === 0 ? -1 : internal.find(flow);
    if (own >= 0 && internal.lifeOf(own) !== DEAD) return false;
    if (!this.#seenFlows.has(flow.words) && !this.reigning.hadKnown(claim)) return true;
    this.#keeps = true;
    return false;
  }

  /** The peer's flow in `known` is put into our kernel by ourselves: that it stands there does not make it ours yet. */
  puts(known: number): void {
    this.#standing.put(known);
  }

  /** The peer's flow in `known` was put into our kernel, and lies in `slot` of the internal cache now: it moves here from now on. */
  takenOn(known: number, slot: number): void {
    this.#claim(slot, known);
  }

  /** The flow in `slot` leaves the external cache: if it stands in our kernel, and nobody else announces it, it is ours. */
  #letGo(slot: number): void {
    this.#theirs[slot] = 0;
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
    if (cache === "internal") this.#standing.forget();
    else {
      this.#standing.clear();
      this.#theirs.fill(0);
    }
  }

  #advance(clock: number): void {
    if (clock > this.#clock) this.#clock = Math.min(isFound(clock) ? clock + 1 : clock, CLAIM_MAX); // What moves is not found.
  }
}
