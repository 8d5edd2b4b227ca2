/**
 * What our kernel has still to be told of the peer's flows, while this node is backup and `sync.apply` is "live".
 *
 * The external cache says which of its slots changed and which flow left it; the daemon takes a slot at a time, tells the
 * kernel, and says what came of it. Of each slot there is
 *
 *   WAITING   the kernel must be told; a slot waits once, however often its flow changes meanwhile
 *   LISTED    it is in the list of those that wait, even if its flow has left or another one has come
 *   STANDS    the kernel has an entry of it, made by us or found
 *   FAILED    the kernel refused it
 *   DOUBTFUL  its entry stood before we came, and it is not known who is primary: it may be in use here
 *   ALONE     it is related to a flow that is not there, and goes without
 *   due       second at which it must be looked at again: its timer is about to run out, or it is tried once more; 0: never
 *
 * A flow that leaves the cache while its entry stands is *withdrawn*: what a deletion must name is kept in a table of its
 * own until the kernel was told. All that is withdrawn goes before all that waits. So a tuple that came back meanwhile is
 * created after its old entry was deleted, whatever its NAT is now.
 */
import type { Flow } from "../flow/flow.ts";
import { WordQueue } from "../sync/queue.ts";
import { FlowTable } from "./flow-table.ts";
import type { FlowHash } from "./hash.ts";

const WAITING = 1;
const LISTED = 2;
const STANDS = 4;
const FAILED = 8;
const DOUBTFUL = 16;
const ALONE = 32;

/** How long before its end a timer of the kernel is renewed. */
export const RENEW_AHEAD_SECONDS = 5;
/** A refused flow is tried again after 1, 2, 4 seconds and so on, up to this. */
const RETRY_SECONDS_MAX = 32;
const TRIES_COUNTED_MAX = 5;

export class ApplyQueue {
  /** Whether the kernel follows the external cache: it does while this node is not primary. */
  active = false;
  /** From this slot on nobody has looked yet what the external cache has: the kernel may have an entry of any of it. */
  lookedTo = Number.POSITIVE_INFINITY;
  /** Slots that wait, whose entry stands, and whose flow the kernel refused. */
  waiting = 0;
  standing = 0;
  failing = 0;
  readonly #state: Uint8Array;
  readonly #tries: Uint8Array;
  readonly #due: Uint32Array;
  readonly #list: WordQueue;
  readonly #withdrawn: FlowTable;
  readonly #withdrawnList: WordQueue;
  /** Of each slot of `#withdrawn`. */
  readonly #doubtful: Uint8Array;
  /** Whether the flow that `nextWithdrawn` named last may be in use here. */
  doubtful = false;
  /** All that is listed before this position waits since then, or longer. */
  #mark = 0;
  #markMs = 0;

  constructor(flowsMax: number, hash: FlowHash) {
    this.#state = new Uint8Array(flowsMax);
    this.#tries = new Uint8Array(flowsMax);
    this.#due = new Uint32Array(flowsMax);
    this.#list = new WordQueue(flowsMax);
    this.#withdrawn = new FlowTable(flowsMax, hash);
    this.#withdrawnList = new WordQueue(flowsMax);
    this.#doubtful = new Uint8Array(flowsMax);
  }

  /** Flows that the kernel has still to forget. */
  get withdrawing(): number {
    return this.#withdrawn.count;
  }

  /** Since when the oldest of those that wait does, or later; infinite when none does. */
  get oldestMs(): number {
    return this.waiting === 0 ? Number.POSITIVE_INFINITY : this.#markMs;
  }

  /** The kernel stops, or begins, to follow. It has nothing that we know of then. */
  follow(active: boolean): void {
    this.active = active;
    this.clear();
  }

  /** Nothing is known any more of the cache's slots; what was withdrawn before still goes. */
  clear(): void {
    this.#state.fill(0);
    this.#tries.fill(0);
    this.#due.fill(0);
    this.#list.clear();
    this.lookedTo = Number.POSITIVE_INFINITY;
    this.waiting = 0;
    this.standing = 0;
    this.failing = 0;
  }

  /** What the kernel should have of the flow in `slot` changed, or is to be tried again. */
  changed(slot: number, nowMs: number): void {
    if (!this.active) return;
    const state = this.#state[slot];
    if ((state & WAITING) === 0) this.waiting++;
    if ((state & LISTED) === 0) {
      if (this.#list.length === 0) this.#markMs = nowMs;
      this.#list.push(slot); // Each slot is in it once at most, so it has room.
      if (this.#list.length === 1) this.#mark = this.#list.end;
    }
    this.#state[slot] = state | WAITING | LISTED;
  }

  stands(slot: number): boolean {
    return (this.#state[slot] & STANDS) !== 0 || slot >= this.lookedTo;
  }

  isWaiting(slot: number): boolean {
    return (this.#state[slot] & WAITING) !== 0;
  }

  /** How often the kernel refused the flow since it last took it, counted to five. */
  triesOf(slot: number): number {
    return this.#tries[slot];
  }

  /** The flow in `slot` was `words`, and is another one now that no entry can be changed into: its entry goes first. */
  replaced(slot: number, words: Uint32Array): void {
    if (this.stands(slot)) this.withdraw(words, (this.#state[slot] & DOUBTFUL) !== 0);
    this.#unset(slot, STANDS | DOUBTFUL);
  }

  /** The flow in `slot` has an entry that we did not make. `doubtful`: it may be in use here. */
  found(slot: number, doubtful: boolean): void {
    if (!this.active) return;
    this.#stand(slot);
    if (doubtful) this.#state[slot] |= DOUBTFUL;
  }

  /** The kernel has another entry in the place of the flow in `slot`, `words`: that goes first. `doubtful`: it may be in use here. */
  instead(slot: number, words: Uint32Array, doubtful: boolean, nowMs: number): void {
    this.#unset(slot, STANDS | DOUBTFUL);
    this.withdraw(words, doubtful);
    this.changed(slot, nowMs);
  }

  /** The flow left `slot`, and was `words`. */
  removed(slot: number, words: Uint32Array): void {
    this.replaced(slot, words);
    this.forget(slot);
  }

  /** The flow in `slot` is nothing to tell the kernel of any more; its entry, if it stands, is somebody else's. */
  forget(slot: number): void {
    this.#unset(slot, WAITING | STANDS | FAILED | DOUBTFUL | ALONE);
    this.#due[slot] = 0;
    this.#tries[slot] = 0;
  }

  /** The kernel must not have this flow any more. */
  withdraw(words: Uint32Array, doubtful = false): void {
    if (!this.active) return;
    const slot = this.#withdrawn.place(words); // What stands has a slot of its own here: it is not full.
    if (slot < 0) return;
    if (this.#withdrawn.placed) this.#withdrawnList.push(slot);
    this.#doubtful[slot] = doubtful ? 1 : 0;
  }

  isWithdrawn(flow: Flow): boolean {
    return this.#withdrawn.count > 0 && this.#withdrawn.find(flow.words) >= 0;
  }

  /** The next flow that the kernel must forget; false when there is none. */
  nextWithdrawn(flow: Flow): boolean {
    if (this.#withdrawnList.length === 0) return false;
    const slot = this.#withdrawnList.shift();
    this.#withdrawn.read(slot, flow);
    this.#withdrawn.remove(slot);
    this.doubtful = this.#doubtful[slot] !== 0;
    return true;
  }

  /** The next slot that waits, or -1. Whoever takes it says what came of it. */
  next(nowMs: number): number {
    while (this.#list.length > 0) {
      const slot = this.#list.shift();
      const waited = (this.#state[slot] & WAITING) !== 0;
      this.#unset(slot, WAITING | LISTED);
      if (this.#list.length > 0 && this.#list.passed(this.#mark)) {
        this.#mark = this.#list.end;
        this.#markMs = nowMs;
      }
      if (waited) return slot;
    }
    return -1;
  }

  /** The flow in `slot` is told the kernel out of turn; false where it does not wait. */
  take(slot: number): boolean {
    const waits = this.isWaiting(slot);
    this.#unset(slot, WAITING);
    return waits;
  }

  /** The kernel has the flow as it is, until a timer of so many seconds ends. */
  applied(slot: number, timeoutSeconds: number, nowMs: number): void {
    this.#stand(slot);
    this.#unset(slot, FAILED | ALONE);
    this.#tries[slot] = 0;
    this.#due[slot] = nowMs / 1_000 + Math.max(1, timeoutSeconds - RENEW_AHEAD_SECONDS);
  }

  /**
   * The kernel refused the flow as it is now. It is tried again after a while, or not before it changes. `absent`: it could not
   * be made, so that no entry of it stands.
   */
  refused(slot: number, again: boolean, absent: boolean, nowMs: number): void {
    if (absent) this.#unset(slot, STANDS | DOUBTFUL);
    if ((this.#state[slot] & FAILED) === 0) this.failing++;
    this.#state[slot] = (this.#state[slot] & ~ALONE) | FAILED;
    const tries = this.#tries[slot];
    this.#tries[slot] = Math.min(tries + 1, TRIES_COUNTED_MAX);
    this.#due[slot] = again ? nowMs / 1_000 + Math.min(1 << tries, RETRY_SECONDS_MAX) : 0;
  }

  /** The flow in `slot`, which was refused for want of its master, waits no longer for it. */
  letAlone(slot: number, nowMs: number): void {
    this.changed(slot, nowMs);
    this.#state[slot] |= ALONE;
  }

  goesAlone(slot: number): boolean {
    return (this.#state[slot] & ALONE) !== 0;
  }

  /** The kernel's entry is gone, ours or the peer's, and nobody of us deleted it. It is made a moment later, if the peer keeps the flow. */
  lost(slot: number, nowMs: number): void {
    if (!this.active) return;
    this.#unset(slot, STANDS);
    this.#due[slot] = nowMs / 1_000 + 1;
  }

  /** The first slot from `from` on, before `end`, that must be looked at again; or -1. It is not named twice. */
  nextDue(from: number, end: number, nowMs: number): number {
    const due = this.#due;
    const nowSeconds = Math.floor(nowMs / 1_000);
    for (let slot = from; slot < end; slot++) {
      if (due[slot] === 0 || due[slot] > nowSeconds) continue;
      due[slot] = 0;
      return slot;
    }
    return -1;
  }

  /** Whether the kernel has the flow as it is, as far as we know. */
  isSettled(slot: number): boolean {
    return (this.#state[slot] & (STANDS | FAILED | WAITING)) === STANDS;
  }

  #stand(slot: number): void {
    if ((this.#state[slot] & STANDS) === 0) this.standing++;
    this.#state[slot] |= STANDS;
  }

  #unset(slot: number, bits: number): void {
    const lost = this.#state[slot] & bits;
    this.#state[slot] &= ~bits;
    if (lost & WAITING) this.waiting--;
    if (lost & STANDS) this.standing--;
    if (lost & FAILED) this.failing--;
  }
}
