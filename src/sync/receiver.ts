/**
 * The receiving half of reliable mode: which numbers of the peer arrived, and what is acknowledged and asked for again.
 *
 *   #lastIn    number of the last message accepted, none before the first
 *   #ackStart  first number accepted and not yet acknowledged, none when all are
 *   #window    messages left until an acknowledgement is due
 *
 * A message behind a gap is used at once and the gap named to the peer (NACK); what was lost returns under new numbers with
 * its newest state, so an original that arrives late is dropped: nothing older overwrites newer.
 * The acknowledgement of a question that is still being answered is held back until the answer has been sent: whoever asks
 * then knows from it that the answer is complete, as it does with conntrackd, which queues both in order (D-003).
 * Source: conntrackd's synchronisation protocol, version 1, section 13.3.
 */
import { FLAG_ACK, FLAG_NACK } from "../wire/header.ts";
import { distance, isBefore, next, previous } from "./serial.ts";

/** Longest time that an accepted message stays unacknowledged. */
export const ACK_DELAY_MS = 1_000;
/** A peer whose every message is late for this long, and for this many messages, counts from somewhere else now. */
const ASTRAY_MS = 5_000;
const ASTRAY_MESSAGES = 5;
/** Greetings further apart than this belong to different lives of the peer. */
const GREETING_MESSAGES = 1_024;
/** How far back `unbrokenFrom` lies at most: numbers further apart than 2^31 cannot be compared. */
const UNBROKEN_MESSAGES = 2 ** 30;
/** Greetings before the first one heard that may still come late. */
const GREETINGS_MISSED = 16;

/** "astray": the peer counts from somewhere else now, as after a restart that was not noticed. */
export type Arrival = "in-order" | "gap" | "late" | "astray";
export type QueueControl = (flags: number, from: number, to: number) => void;

export class Receiver {
  readonly #ackWindow: number;
  readonly #queue: QueueControl;
  #lastIn = -1;
  #ackStart = -1;
  #window: number;
  #acceptedMs = 0;
  #lateRun = 0;
  #greetedFrom = -1;
  #greetedTo = -1;
  /** The lowest number of this life of the peer that came without HELLO, or -1. */
  #settledFrom = -1;
  ackDueMs = Number.POSITIVE_INFINITY;
  /** Everything of the peer from this number on was received and understood. */
  unbrokenFrom = 0;
  /** `lost`: numbers of the peer that a gap named; most return under new numbers. */
  readonly counters = { lost: 0, astray: 0 };

  constructor(ackWindow: number, queue: QueueControl) {
    this.#ackWindow = ackWindow;
    this.#window = ackWindow;
    this.#queue = queue;
  }

  arrival(seq: number, nowMs: number): Arrival {
    if (this.#settledFrom < 0) this.#settledFrom = seq;
    else if (isBefore(seq, this.#settledFrom) && !isBefore(seq, this.#greetedTo)) this.#settledFrom = seq;
    if (this.#lastIn < 0 || seq === next(this.#lastIn)) return "in-order";
    if (!isBefore(seq, next(this.#lastIn))) return "gap";
    return this.#late(nowMs);
  }

  /**
   * A peer that says HELLO begins anew: its number is in order whatever it is, unless it is one of the greetings that this
   * life of the peer began with, come late or twice. Taking that for a new life would make old flow states look new.
   * The greetings of a life end where its first other message begins.
   */
  greeting(seq: number, nowMs: number): Arrival {
    const arrival = this.#isKnownGreeting(seq) ? this.#late(nowMs) : "in-order";
    if (arrival === "late") return arrival;
    const ahead = distance(this.#greetedTo, seq);
    if (this.#greetedTo < 0 || this.#settledFrom >= 0 || ahead <= 0 || ahead > GREETING_MESSAGES) {
      this.#greetedFrom = seq;
      this.#settledFrom = -1;
    }
    this.#greetedTo = seq;
    if (this.#ackStart >= 0 && isBefore(seq, this.#ackStart)) {
      this.#window = this.#ackWindow - 1;
      this.#ackStart = seq;
    }
    return arrival;
  }

  /** A life of the peer that was not heard of before says HELLO: whatever its number, it is no late greeting. */
  newLife(): void {
    this.#greetedFrom = -1;
    this.#greetedTo = -1;
    this.#settledFrom = -1;
    this.#ackStart = -1;
  }

  #isKnownGreeting(seq: number): boolean {
    if (this.#greetedTo < 0 || isBefore(seq, (this.#greetedFrom - GREETINGS_MISSED) >>> 0)) return false;
    return isBefore(seq, this.#settledFrom < 0 ? next(this.#greetedTo) : this.#settledFrom);
  }

  /**
   * A message of unreadable content uses up its number if that is the one due: asked for again it would be as unreadable.
   * Any other number changes nothing, as if it had never come.
   */
  unreadable(seq: number, nowMs: number): void {
    if (this.#lastIn < 0 || seq !== next(this.#lastIn)) return;
    this.accept(seq, "in-order", false, nowMs);
    this.unbrokenFrom = next(seq);
  }

  /** A message from the past; unless the peer has sent nothing else for so long that it must be us who are ahead. */
  #late(nowMs: number): Arrival {
    this.#lateRun++;
    if (this.#lateRun < ASTRAY_MESSAGES || nowMs - this.#acceptedMs < ASTRAY_MS) return "late";
    this.counters.astray++; // A forged or corrupted number led us ahead of the peer; without this it would be unheard for ever.
    this.#ackStart = -1;
    return "astray";
  }

  /** `hold`: the message asks for something that is still to be sent, its acknowledgement is the caller's. */
  accept(seq: number, arrival: Arrival, hold: boolean, nowMs: number): void {
    if (seq !== next(this.#lastIn))
      this.unbrokenFrom = seq; // A gap, or the first message, or one that is believed as such.
    else if (distance(this.unbrokenFrom, seq) >= UNBROKEN_MESSAGES)
      this.unbrokenFrom = (seq - UNBROKEN_MESSAGES / 2) >>> 0;
    if (arrival === "gap") {
      if (this.#ackStart >= 0) this.#queue(FLAG_ACK, this.#ackStart, this.#lastIn);
      this.#queue(FLAG_NACK, next(this.#lastIn), previous(seq));
      this.counters.lost += distance(this.#lastIn, seq) - 1;
      this.#window = this.#ackWindow - 1;
      this.#start(seq, nowMs);
    } else {
      if (this.#ackStart < 0) this.#start(seq, nowMs);
      this.#window--;
    }
    if (hold) {
      if (this.#ackStart !== seq) this.#queue(FLAG_ACK, this.#ackStart, previous(seq));
      this.#settled();
      this.#window = this.#ackWindow;
    } else if (this.#window <= 0) {
      this.#queue(FLAG_ACK, this.#ackStart, seq);
      this.#settled();
      this.#window = this.#ackWindow;
    }
    this.#lastIn = seq;
    this.#acceptedMs = nowMs;
    this.#lateRun = 0;
  }

  /** Queues the acknowledgement of all that arrived; false when there is none to give. */
  acknowledge(): boolean {
    if (this.#ackStart < 0) return false;
    this.#queue(FLAG_ACK, this.#ackStart, this.#lastIn);
    this.#settled();
    return true;
  }

  #start(seq: number, nowMs: number): void {
    this.#ackStart = seq;
    this.ackDueMs = nowMs + ACK_DELAY_MS;
  }

  #settled(): void {
    this.#ackStart = -1;
    this.ackDueMs = Number.POSITIVE_INFINITY;
  }
}
