/**
 * How long a peer has been behind: for how long the oldest of what changed has waited to be sent, or to be acknowledged.
 *
 * No change has a time of its own. Instead one mark is set at a time, behind everything that waits then; it is reached when
 * all of that has been sent, and then acknowledged, and the next one is set. So the answer may be short by as long as the
 * mark before took, and a peer that stands still is told from the moment it did.
 */
import { isBefore } from "./serial.ts";

/** What a sender has on its hands. */
export interface Outstanding {
  /** Flows that wait to be sent, and flows on their way. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Where the next flow will stand in the queue, and in that of what can wait; whether all before has left them. */
  readonly queueEnd: number;
  readonly laterEnd: number;
  hasLeft(queueEnd: number, laterEnd: number): boolean;
  /** The oldest number that may be unacknowledged, and the one that the next message gets. */
  readonly oldestSeq: number;
  readonly nextSeq: number;
}

const NONE = 0;
const QUEUED = 1;
const SENT = 2;

export class Lag {
  #stage = NONE;
  #sinceMs = 0;
  #queueEnd = 0;
  #laterEnd = 0;
  #seqEnd = 0;

  look(outstanding: Outstanding, nowMs: number): void {
    if (outstanding.waiting + outstanding.inFlight === 0) {
      this.#stage = NONE;
      return;
    }
    if (this.#stage === QUEUED && outstanding.hasLeft(this.#queueEnd, this.#laterEnd)) {
      this.#stage = SENT;
      this.#seqEnd = outstanding.nextSeq;
    }
    if (this.#stage === SENT && (outstanding.inFlight === 0 || !isBefore(outstanding.oldestSeq, this.#seqEnd)))
      this.#stage = NONE;
    if (this.#stage !== NONE) return;
    this.#stage = QUEUED;
    this.#sinceMs = nowMs;
    this.#queueEnd = outstanding.queueEnd;
    this.#laterEnd = outstanding.laterEnd;
  }

  milliseconds(nowMs: number): number {
    return this.#stage === NONE ? 0 : Math.max(0, nowMs - this.#sinceMs);
  }
}
