/**
 * Internal cache: the flows of this kernel, as the events and dumps of ctnetlink told them.
 *
 * A flow is *fresh* until every peer has acknowledged it, *alive* from then on, *dead* after its destroy event. What is
 * announced of it is its state at the moment of sending, so the three are the sync protocol's CT_NEW, CT_UPDATE and
 * CT_DESTROY. CT_NEW makes the peer forget what it knew under the same tuple; an update would mix with it (D-002).
 * A dead flow keeps its slot, and with it what the destroy message must say, until every peer has it (`release`); if its
 * tuple comes back before that, the slot starts a new life.
 *
 * A reread of the kernel runs in passes: `beginPass`, then every flow of the dump and every event marks its flow as
 * seen; `nextUnseen` then names the flows that the kernel did not show.
 *
 * The kernel starts a flow's timer again with each packet and tells nobody. Whoever compares cache and kernel moves the
 * cached timer where it went too far astray (`timer-drift.ts`); an extended peer is told then (`replica-walk.ts`).
 */
import { FLOW_WORDS, Flow, HAS, HAS_TIMEOUT, REPLY_SRC, TIMEOUT } from "../flow/flow.ts";
import { hasLost, leaveUnnamed, overlay } from "../flow/merge.ts";
import type { SlotOwner } from "../sync/session.ts";
import { FlowTable } from "./flow-table.ts";
import type { FlowHash } from "./hash.ts";
import { remainingSeconds } from "./remaining.ts";

export const FRESH = 0;
export const ALIVE = 1;
export const DEAD = 2;

const HELD = 1;
const LEFT_OVER = 2;

/** What an entry of the kernel is to the cache. */
export type Comparison = "missing" | "same" | "different";

export class InternalCache {
  readonly flowsMax: number;
  readonly #table: FlowTable;
  readonly #life: Uint8Array;
  readonly #holders: Uint8Array;
  readonly #createdSeconds: Uint32Array;
  readonly #updatedSeconds: Uint32Array;
  readonly #seen: Uint8Array;
  /** Nobody is told of the flow until it is known whose it is (replica-live.ts). */
  readonly #held: Uint8Array;
  readonly #scratch = new Flow();
  readonly #peers: number;
  #pass = 0;
  #dead = 0;
  /** True if the last `upsert` changed what the peer should know; a bare change of the timeout does not count. */
  changed = false;

  /** `peers` is how many must hear of each flow, 8 at most. */
  constructor(flowsMax: number, hash: FlowHash, peers: number) {
    this.flowsMax = flowsMax;
    this.#peers = (1 << peers) - 1;
    this.#table = new FlowTable(flowsMax, hash);
    this.#life = new Uint8Array(flowsMax);
    this.#holders = new Uint8Array(flowsMax);
    this.#createdSeconds = new Uint32Array(flowsMax);
    this.#updatedSeconds = new Uint32Array(flowsMax);
    this.#seen = new Uint8Array(flowsMax);
    this.#held = new Uint8Array(flowsMax);
  }

  /** Flows that live in the kernel, as far as is known. */
  get count(): number {
    return this.#table.count - this.#dead;
  }

  /** Flows that have ended, kept until each peer knows. */
  get deadCount(): number {
    return this.#dead;
  }

  find(flow: Flow): number {
    return this.#table.find(flow.words);
  }

  /** A flow was created: what was known of its tuple is forgotten. Slot, or -1 when the cache is full. */
  create(flow: Flow, nowMs: number): number {
    const slot = this.#table.place(flow.words);
    if (slot < 0) return -1;
    if (!this.#table.placed) this.#table.write(slot, flow.words);
    return this.#begin(slot, nowMs);
  }

  /** The flow in `slot` begins a life; `DEAD` is what the slot of one that is new to the table never is. */
  #begin(slot: number, nowMs: number): number {
    if (this.#life[slot] === DEAD) this.#dead--;
    this.#life[slot] = FRESH;
    this.#held[slot] = 0;
    this.#holders[slot] = this.#peers;
    this.#createdSeconds[slot] = nowMs / 1000;
    this.#updatedSeconds[slot] = nowMs / 1000;
    this.#seen[slot] = this.#pass;
    return slot;
  }

  /**
   * A flow was seen: what the message carries is laid over what was known. `isWhole`: it is an entry of a dump, which names
   * all that the flow has (D-008). Slot, or -1 when the cache is full.
   */
  upsert(flow: Flow, nowMs: number, isWhole = false): number {
    const slot = this.#table.place(flow.words);
    if (slot < 0) return -1;
    if (this.#table.placed || this.#life[slot] === DEAD) {
      this.changed = true;
      if (!this.#table.placed) this.#table.write(slot, flow.words);
      return this.#begin(slot, nowMs);
    }
    const known = this.#scratch;
    this.#table.read(slot, known);
    this.#before.set(known.words);
    overlay(known.words, flow.words);
    if (isWhole) leaveUnnamed(known.words, flow.words[HAS]);
    this.changed = !sameButTimeout(known.words, this.#before);
    this.#table.write(slot, known.words);
    if (this.changed && hasLost(this.#before, known.words)) {
      this.#life[slot] = FRESH;
      this.#holders[slot] = this.#peers;
    }
    if ((flow.words[HAS] & HAS_TIMEOUT) !== 0) this.#updatedSeconds[slot] = nowMs / 1000;
    this.#seen[slot] = this.#pass;
    return slot;
  }
  readonly #before = new Uint32Array(FLOW_WORDS);

  /** More is known of the flow in `slot` than its first event said. */
  rewrite(slot: number, flow: Flow): void {
    this.#table.write(slot, flow.words);
  }

  /** The flow ended. It stays, dead, until every peer has been told; without peers it is gone at once. */
  kill(slot: number): void {
    if (this.#life[slot] === DEAD) return;
    if (this.#peers === 0) {
      this.#table.remove(slot);
      return;
    }
    this.#life[slot] = DEAD;
    this.#holders[slot] = this.#peers;
    this.#dead++;
  }

  /** What the state towards peer number `peer` may see of this cache. */
  ownerFor(peer: number): SlotOwner {
    return {
      slotsMax: this.flowsMax,
      nextLive: (from) => this.#nextTold(from),
      release: (slot) => this.#release(slot, 1 << peer),
    };
  }

  /** No peer is told of the flow in `slot`, of which none was told yet, until it is `announce`d. */
  hold(slot: number): void {
    this.#held[slot] = HELD;
  }

  /** The held flow in `slot` is nobody's: it stays held until its entry ends. False if that was known. */
  leaveOver(slot: number): boolean {
    const isNews = this.#held[slot] === HELD;
    this.#held[slot] = LEFT_OVER;
    return isNews;
  }

  isHeld(slot: number): boolean {
    return this.#held[slot] !== 0;
  }

  announce(slot: number): void {
    this.#held[slot] = 0;
  }

  #nextTold(from: number): number {
    let slot = this.nextLive(from);
    while (slot >= 0 && this.#held[slot] !== 0) slot = this.nextLive(slot + 1);
    return slot;
  }

  /** The peer does not know the flow in `slot` as it is: it is announced as new again. */
  renew(slot: number, peer: number): void {
    if (this.#life[slot] === DEAD) return;
    this.#life[slot] = FRESH;
    this.#holders[slot] |= 1 << peer;
  }

  /** One peer knows the newest state of the flow in `slot`. */
  #release(slot: number, peer: number): void {
    if (this.#holders[slot] === 0) return;
    this.#holders[slot] &= ~peer;
    if (this.#holders[slot] !== 0) return;
    if (this.#life[slot] === FRESH) this.#life[slot] = ALIVE;
    else if (this.#life[slot] === DEAD) this.drop(slot);
  }

  /** Forgets the flow in `slot`, dead or not. Nobody may hold the slot any more. */
  drop(slot: number): void {
    if (this.#life[slot] === DEAD) this.#dead--;
    this.#life[slot] = FRESH;
    this.#held[slot] = 0;
    this.#table.remove(slot);
  }

  /** Forgets all flows, dead or not. Nobody may hold a slot any more. */
  clear(): void {
    this.#table.clear();
    this.#life.fill(FRESH);
    this.#held.fill(0);
    this.#dead = 0;
  }

  lifeOf(slot: number): number {
    return this.#life[slot];
  }

  ageSeconds(slot: number, nowMs: number): number {
    return Math.max(0, Math.floor(nowMs / 1000) - this.#createdSeconds[slot]);
  }

  /** When the flow's timer runs out, in seconds of the clock, by what the kernel reported last; 0 when it has none. */
  expiresSeconds(slot: number): number {
    const timeoutSeconds = this.#table.timeoutOf(slot);
    return timeoutSeconds === 0 ? 0 : this.#updatedSeconds[slot] + timeoutSeconds;
  }

  isUsed(slot: number): boolean {
    return this.#table.isUsed(slot);
  }

  /** One past the highest slot in use. */
  get slotsEnd(): number {
    return this.#table.end;
  }

  /** Unpacks the flow, its timeout lessened by the time since the kernel reported it. */
  read(slot: number, flow: Flow, nowMs: number): void {
    this.#table.read(slot, flow);
    const words = flow.words;
    if ((words[HAS] & HAS_TIMEOUT) !== 0)
      words[TIMEOUT] = remainingSeconds(words[TIMEOUT], Math.floor(nowMs / 1000) - this.#updatedSeconds[slot]);
  }

  /** The slot holds a flow that is not dead. */
  isLive(slot: number): boolean {
    return this.#table.isUsed(slot) && this.#life[slot] !== DEAD;
  }

  /** The first slot from `from` on whose flow is not dead, or -1. */
  nextLive(from: number): number {
    if (this.count === 0) return -1; // A node that stepped down has nothing but dead ones for a while.
    let slot = this.#table.nextUsed(from);
    while (slot >= 0 && this.#life[slot] === DEAD) slot = this.#table.nextUsed(slot + 1);
    return slot;
  }

  /** The first slot from `from` on whose flow is dead, or -1. */
  nextDead(from: number): number {
    if (this.#dead === 0) return -1;
    let slot = this.#table.nextUsed(from);
    while (slot >= 0 && this.#life[slot] !== DEAD) slot = this.#table.nextUsed(slot + 1);
    return slot;
  }

  /** What the kernel showed of a flow, beside what is known of it; the timer does not count. Changes nothing. */
  compare(shown: Flow): Comparison {
    const slot = this.#table.find(shown.words);
    if (slot < 0 || this.#life[slot] === DEAD) return "missing";
    const known = this.#scratch;
    this.#table.read(slot, known);
    this.#before.set(known.words);
    overlay(known.words, shown.words);
    return sameButTimeout(known.words, this.#before) ? "same" : "different";
  }

  /** The kernel has this much time left for the flow in `slot`, far from what was known: the peers should hear of it. */
  moveTimer(slot: number, timeoutSeconds: number, nowMs: number): void {
    const known = this.#scratch;
    this.#table.read(slot, known);
    known.words[TIMEOUT] = timeoutSeconds;
    known.words[HAS] |= HAS_TIMEOUT;
    this.#table.write(slot, known.words);
    this.#updatedSeconds[slot] = nowMs / 1000;
  }

  /**
   * The first slot from `from` on of a TCP flow whose sequence numbers the kernel follows: it checks the windows, or a helper reads
   * along. Or -1. A flow that a peer took from us is among them until that peer knows: its entry stands still.
   */
  nextStrict(from: number): number {
    return this.#table.nextStrict(from);
  }

  /** Whether the kernel checks the windows of the flow in `slot` is not what it was: our own requests raise no event. */
  setLiberal(slot: number, isLiberal: boolean): void {
    this.#table.setLiberal(slot, isLiberal);
  }

  /** The number of the pass that was begun last: another one means that another reread has taken over. */
  get pass(): number {
    return this.#pass;
  }

  see(slot: number): void {
    this.#seen[slot] = this.#pass;
  }

  isUnseen(slot: number): boolean {
    return this.isLive(slot) && this.#seen[slot] !== this.#pass;
  }

  /** Passes are numbered 1 to 255, over and over. */
  beginPass(): void {
    this.#pass = (this.#pass % 0xff) + 1;
    if (this.#pass === 1) this.#seen.fill(0); // Nobody may look seen by an old pass of the same number; none has number 0.
  }

  nextUnseen(from: number): number {
    let slot = this.nextLive(from);
    while (slot >= 0 && this.#seen[slot] === this.#pass) slot = this.nextLive(slot + 1);
    return slot;
  }
}

/** Values alone count: a mark of 0 that a dump names and an event leaves out is the same mark. */
function sameButTimeout(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = REPLY_SRC; i < FLOW_WORDS; i++) if (i !== TIMEOUT && i !== HAS && a[i] !== b[i]) return false;
  return true;
}
