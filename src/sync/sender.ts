/**
 * The sending half of reliable mode: what waits to be sent, what is on its way, what must go out again.
 *
 * A flow that changed waits in the transmit queue, at most once, until it is given a number; from then on it stands in the
 * resend ring until the peer acknowledges that number. If it changes before, it leaves the ring and queues again: only its
 * newest state matters. Control messages have a queue of their own that goes first. Nothing is dropped for want of room: a
 * message that leaves the ring's memory unacknowledged is sent again, or parked if it is a question (D-002, D-003).
 */
import { FLAG_ACK, FLAG_ALIVE, FLAG_NACK, FLAG_RESYNC } from "../wire/header.ts";
import { Bulk } from "./bulk.ts";
import type { Outstanding } from "./lag.ts";
import { Later } from "./later.ts";
import { OVERDUE_MS, Overdue } from "./overdue.ts";
import { Parked } from "./parked.ts";
import { WordQueue } from "./queue.ts";
import { CONTROL, isControl, NOTHING, ResendRing, slotOf } from "./resend-ring.ts";
import { isBefore, next, previous } from "./serial.ts";
import type { SlotOwner } from "./session.ts";
import { Unsettled } from "./unsettled.ts";

/** Control messages to which the peer answers with flows. */
const QUESTIONS = FLAG_RESYNC | FLAG_NACK;

/** Newest waiting control messages among which an acknowledgement looks for one it touches. */
const MERGE_MESSAGES = 8;

const CONTROL_WORDS = 3;

const IDLE = 0;
const QUEUED = 1;
const IN_FLIGHT = 2;

export interface SenderLimits {
  /** Messages that the resend ring holds. */
  readonly resendQueue: number;
  /** Flows on their way at once: more would only fill the peer's socket buffer. */
  readonly inFlightMax: number;
}

export class Sender implements Outstanding {
  readonly data: WordQueue;
  readonly bulk = new Bulk();
  readonly #later: Later;
  readonly counters = { resent: 0, controlDropped: 0, questionsDropped: 0 };
  readonly #owner: SlotOwner;
  readonly #inFlightMax: number;
  readonly #ring: ResendRing;
  readonly #parked = new Parked();
  readonly #unsettled = new Unsettled();
  readonly #overdue: Overdue;
  /** CONTROL_WORDS a message: flags, from, to. */
  readonly #control: WordQueue;
  readonly #place: Uint8Array;
  readonly #seqOf: Uint32Array;
  #inFlight = 0;
  #asked = 0;
  #parkedSinceMs = 0;
  /** Range of the control message that `nextControl` took. */
  from = 0;
  to = 0;

  constructor(limits: SenderLimits, firstSeq: number, owner: SlotOwner) {
    this.#owner = owner;
    this.#inFlightMax = limits.inFlightMax;
    this.#ring = new ResendRing(limits.resendQueue, firstSeq);
    this.#overdue = new Overdue(firstSeq);
    this.data = new WordQueue(owner.slotsMax);
    this.#later = new Later(owner.slotsMax);
    this.#control = new WordQueue(4 * limits.resendQueue);
    this.#place = new Uint8Array(owner.slotsMax);
    this.#seqOf = new Uint32Array(owner.slotsMax);
  }

  get unacknowledged(): number {
    return this.#ring.count;
  }

  get waiting(): number {
    return this.data.length + this.#later.count;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queueEnd(): number {
    return this.data.end;
  }

  get laterEnd(): number {
    return this.#later.end;
  }

  hasLeft(queueEnd: number, laterEnd: number): boolean {
    return this.data.passed(queueEnd) && this.#later.passed(laterEnd);
  }

  get oldestSeq(): number {
    return this.#ring.oldest;
  }

  get nextSeq(): number {
    return this.#ring.end;
  }

  get hasControl(): boolean {
    return this.#control.length > 0;
  }

  /** Questions (RESYNC, NACK) that the peer has not acknowledged. */
  get asked(): number {
    return this.#asked;
  }

  /** As many flows are on their way as may be, or the next number would push an unacknowledged one out of the ring. */
  get windowFull(): boolean {
    const displaced = this.#ring.peek(this.#ring.end);
    return this.#inFlight >= this.#inFlightMax || (displaced !== NOTHING && !isControl(displaced));
  }

  changed(slot: number): void {
    this.#later.take(slot);
    if (this.#place[slot] === QUEUED) return;
    if (this.#place[slot] !== IN_FLIGHT) {
      this.#queueFlow(slot);
      return;
    }
    this.#takeFlow(slot);
    this.#queueSent(slot);
  }

  /** As `changed`, but it can wait for all that does change (D-013). What was sent and is not acknowledged waits no longer. */
  found(slot: number): void {
    if (this.#place[slot] === IDLE) this.#later.put(slot);
    else this.changed(slot);
  }

  /** The peer has still to be told of the flow in `slot`, when nothing waits that changed. */
  isPostponed(slot: number): boolean {
    return this.#later.waits(slot);
  }

  /** Queues a control message for the first time. */
  ask(flags: number, from: number, to: number): void {
    if (this.say(flags, from, to) && flags & QUESTIONS) this.#asked++;
  }

  say(flags: number, from: number, to: number): boolean {
    if (flags === FLAG_ACK && this.#mergeAck(from, to)) return true;
    if (this.#control.room < CONTROL_WORDS) {
      this.counters.controlDropped++;
      return false;
    }
    this.#control.push(flags);
    this.#control.push(from);
    this.#control.push(to);
    return true;
  }

  /**
   * Lays an acknowledgement beside one that waits, if their ranges touch. Under loss each lost control message is a gap that
   * makes three new ones; told together they are one, and the traffic cannot feed on itself.
   */
  #mergeAck(from: number, to: number): boolean {
    const queue = this.#control;
    const backMax = Math.min(queue.length, CONTROL_WORDS * MERGE_MESSAGES);
    for (let back = CONTROL_WORDS; back <= backMax; back += CONTROL_WORDS) {
      if (queue.fromEnd(back) !== FLAG_ACK) continue;
      const waitingFrom = queue.fromEnd(back - 1);
      const waitingTo = queue.fromEnd(back - 2);
      if (isBefore(next(waitingTo), from) || isBefore(next(to), waitingFrom)) continue;
      if (isBefore(from, waitingFrom)) queue.setFromEnd(back - 1, from);
      if (isBefore(waitingTo, to)) queue.setFromEnd(back - 2, to);
      return true;
    }
    return false;
  }

  /** Takes the next control message, numbers it, and answers its flags; `from` and `to` are its range. */
  nextControl(): number {
    const flags = this.#control.shift();
    this.from = this.#control.shift();
    this.to = this.#control.shift();
    this.#number(flags === FLAG_ALIVE ? NOTHING : (CONTROL | flags) >>> 0, this.from, this.to);
    return flags;
  }

  /** Takes the next flow and numbers it; its slot, or -1: there is none, or the window is full. */
  nextFlow(): number {
    if (this.windowFull) return -1;
    let slot = -1;
    if (this.data.length > 0) slot = this.data.shift();
    else {
      slot = this.bulk.next(this.#owner);
      if (slot < 0) {
        this.bulk.progress(this.data, this.#ring);
        slot = this.#later.next();
      } else if (this.#place[slot] === IN_FLIGHT) this.#takeFlow(slot);
      else this.#later.take(slot);
    }
    if (slot < 0) return -1;
    this.#place[slot] = IN_FLIGHT;
    this.#inFlight++;
    this.#seqOf[slot] = this.#number(slot + 1, 0, 0);
    return slot;
  }

  /** Numbers a message that is neither acknowledged nor repeated. */
  pass(): number {
    return this.#number(NOTHING, 0, 0);
  }

  /** The newest state of the flow in `slot` was acknowledged. */
  isSettled(slot: number): boolean {
    return this.#place[slot] === IDLE && !this.#later.waits(slot);
  }

  /** The peer must have received everything from this number on to have the newest state sent of each flow. */
  get unsettledFrom(): number {
    return this.#unsettled.from(this.data, this.#ring.oldestFlow);
  }

  /** Number of the message that was taken last. */
  get lastSeq(): number {
    return previous(this.#ring.end);
  }

  /** The peer has what was sent under these numbers; true when that was something we waited for. */
  acknowledged(from: number, to: number): boolean {
    const before = this.#ring.count;
    this.#overdue.acknowledged(from, this.#ring.end);
    for (let element = this.#parked.takeWithin(from, to); element !== 0; element = this.#parked.takeWithin(from, to))
      this.#asked--;
    const last = this.#last(to);
    for (let seq = this.#first(from); !isBefore(last, seq); seq = next(seq)) {
      const element = this.#take(seq);
      if (element === NOTHING) continue;
      if (isControl(element)) this.#answered(element);
      else {
        this.#place[slotOf(element)] = IDLE;
        this.#owner.release(slotOf(element));
      }
    }
    this.bulk.progress(this.data, this.#ring);
    return this.#ring.count < before;
  }

  /** The peer misses these numbers: what is still remembered of them goes out again. How many flows that are. */
  missing(from: number, to: number): number {
    for (let element = this.#parked.takeWithin(from, to); element !== 0; element = this.#parked.takeWithin(from, to))
      this.#repeat(element, this.#parked.from, this.#parked.to);
    const last = this.#last(to);
    let flows = 0;
    for (let seq = this.#first(from); !isBefore(last, seq); seq = next(seq)) {
      const element = this.#take(seq);
      if (element === NOTHING) continue;
      this.#repeat(element, this.#ring.from, this.#ring.to);
      if (!isControl(element)) flows++;
    }
    return flows;
  }

  /** Sends all again that is not acknowledged. */
  repeatAll(): void {
    this.missing(this.#ring.oldest, previous(this.#ring.end));
  }

  /**
   * Sends again what the peer passed over without a word. `answering`: flows are coming in, so a RESYNC that is not
   * acknowledged is being answered. How many messages that are.
   */
  repeatOverdue(answering: boolean, nowMs: number): number {
    return this.#repeatBefore(this.#overdue.byOldest(this.#ring.oldest, nowMs), answering);
  }

  /** As `repeatOverdue`, whichever the oldest message is (D-006). */
  repeatPassed(answering: boolean, nowMs: number): number {
    return this.#repeatBefore(this.#overdue.ofAge(this.#ring.oldest, nowMs), answering);
  }

  #repeatBefore(end: number, answering: boolean): number {
    let repeated = 0;
    for (let seq = this.#ring.oldest; isBefore(seq, end); seq = next(seq)) {
      const element = this.#ring.peek(seq);
      if (element === NOTHING || (answering && element === (CONTROL | FLAG_RESYNC) >>> 0)) continue;
      this.#take(seq);
      if (element === (CONTROL | FLAG_ACK) >>> 0) continue; // It came too late for anything.
      this.#repeat(element, this.#ring.from, this.#ring.to);
      repeated++;
    }
    return repeated;
  }

  /** Asks again what was parked for so long that no answer can be under way: the question itself was lost. */
  repeatParked(answering: boolean, nowMs: number): number {
    if (this.#parked.count === 0 || answering) this.#parkedSinceMs = nowMs;
    if (nowMs - this.#parkedSinceMs < OVERDUE_MS) return 0;
    const repeated = this.#parked.count;
    for (let element = this.#parked.take(); element !== 0; element = this.#parked.take())
      this.#repeat(element, this.#parked.from, this.#parked.to);
    return repeated;
  }

  /** The peer forgot what it was sent, and what acknowledgements and gaps speak of. Flows and RESYNC go out again. */
  startOver(): void {
    for (let element = this.#parked.take(); element !== 0; element = this.#parked.take())
      this.#startOverWith(element, this.#parked.from, this.#parked.to);
    for (let seq = this.#ring.oldest; seq !== this.#ring.end; seq = next(seq)) {
      const element = this.#take(seq);
      if (element !== NOTHING) this.#startOverWith(element, this.#ring.from, this.#ring.to);
    }
  }

  #startOverWith(element: number, from: number, to: number): void {
    if (isControl(element) && !(element & FLAG_RESYNC)) this.#answered(element);
    else this.#repeat(element, from, to);
  }

  /** Forgets the slots that `keep` refuses. The others wait at new positions of the queue. */
  retain(keep: (slot: number) => boolean): void {
    for (let left = this.data.length; left > 0; left--) {
      const slot = this.data.shift();
      if (keep(slot)) this.data.push(slot);
      else this.#place[slot] = IDLE;
    }
    for (let seq = this.#ring.oldest; seq !== this.#ring.end; seq = next(seq)) {
      const element = this.#ring.peek(seq);
      if (element === NOTHING || isControl(element) || keep(slotOf(element))) continue;
      this.#take(seq);
      this.#place[slotOf(element)] = IDLE;
    }
    this.#later.retain(keep);
    this.bulk.repeated(this.data);
    this.#unsettled.defer(this.data.end);
  }

  /** Gives the message the next number. What stood in its place of the ring, a whole ring ago, is not lost by it. */
  #number(element: number, from: number, to: number): number {
    const seq = this.#ring.end;
    if (this.#ring.span >= this.#ring.size) this.#displace((seq - this.#ring.size) >>> 0);
    this.#ring.append(element, from, to);
    return seq;
  }

  #displace(seq: number): void {
    const element = this.#take(seq);
    if (element === NOTHING) return;
    this.#overdue.pushedOut();
    if (!isControl(element)) this.#repeat(element, 0, 0);
    else if (element & QUESTIONS && !this.#parked.park(seq, element, this.#ring.from, this.#ring.to)) {
      this.counters.questionsDropped++;
      this.#answered(element);
    }
  }

  #repeat(element: number, from: number, to: number): void {
    this.counters.resent++;
    if (!isControl(element)) {
      this.#queueSent(slotOf(element));
      this.bulk.repeated(this.data);
    } else if (!this.say(element & 0xff, from, to)) this.#answered(element);
  }

  /** The flow was sent, and nobody knows whether that arrived. */
  #queueSent(slot: number): void {
    this.#queueFlow(slot);
    this.#unsettled.waits(this.#seqOf[slot], this.data.end);
  }

  #queueFlow(slot: number): void {
    this.#place[slot] = QUEUED;
    this.data.push(slot); // Never full: a slot is in it at most once.
  }

  #takeFlow(slot: number): void {
    this.#take(this.#seqOf[slot]);
  }

  #take(seq: number): number {
    const element = this.#ring.take(seq);
    if (element !== NOTHING && !isControl(element)) this.#inFlight--;
    return element;
  }

  /** A control message needs to be repeated no more. */
  #answered(element: number): void {
    if (element & QUESTIONS) this.#asked--;
  }

  /** `end` when the range begins beyond all that was sent: one that reaches halfway round would end before it again. */
  #first(seq: number): number {
    const { oldest, end } = this.#ring;
    return isBefore(seq, oldest) ? oldest : isBefore(seq, end) ? seq : end;
  }

  #last(seq: number): number {
    return isBefore(seq, this.#ring.end) ? seq : previous(this.#ring.end);
  }
}
