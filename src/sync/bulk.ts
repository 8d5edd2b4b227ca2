/**
 * A bulk: every live flow once, read slot by slot as the channel takes them, and the proof that all of it arrived.
 *
 *   idle → sending    a cursor walks the cache's slots; changed flows go before it
 *   → draining        what must go out again, because the peer missed it, still waits in the transmit queue
 *   → arriving        all is sent; the bulk is done once nothing older than its end is unacknowledged
 */
import type { WordQueue } from "./queue.ts";
import type { ResendRing } from "./resend-ring.ts";
import { isBefore } from "./serial.ts";
import type { SlotOwner } from "./session.ts";

export class Bulk {
  #phase: "idle" | "sending" | "draining" | "arriving" = "idle";
  #cursor = 0;
  #position = 0;
  #endSeq = 0;
  /** Bulks begun so far, and flows that this one has named. */
  number = 0;
  sent = 0;

  get running(): boolean {
    return this.#phase === "sending";
  }

  get done(): boolean {
    return this.#phase === "idle";
  }

  /** Starts from the first slot, also when a bulk is under way: whoever asked now wants all of it. */
  begin(): void {
    this.#phase = "sending";
    this.#cursor = 0;
    this.number++;
    this.sent = 0;
  }

  /** The next slot to send, or -1. Asked only when no changed flow waits. */
  next(owner: SlotOwner): number {
    if (this.#phase !== "sending") return -1;
    const slot = owner.nextLive(this.#cursor);
    this.#cursor = slot + 1;
    if (slot < 0) {
      this.#phase = "draining";
      this.#position = 0;
    } else this.sent++;
    return slot;
  }

  /** Flows were put back into the transmit queue, maybe some of this bulk. */
  repeated(data: WordQueue): void {
    if (this.#phase !== "draining" && this.#phase !== "arriving") return;
    this.#phase = "draining";
    this.#position = data.end;
  }

  /** Looks whether the bulk came further. */
  progress(data: WordQueue, ring: ResendRing): void {
    if (this.#phase === "draining" && data.passed(this.#position)) {
      this.#phase = "arriving";
      this.#endSeq = ring.end;
    }
    if (this.#phase === "arriving" && !isBefore(ring.oldest, this.#endSeq)) this.#phase = "idle";
  }
}
