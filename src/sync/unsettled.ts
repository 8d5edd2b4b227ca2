/**
 * From which number on the peer must have received everything to have the newest state that was sent of each flow.
 *
 * A flow that is on its way stands in the resend ring under the number of that state. One that waits to be sent again,
 * because it changed or was missed before that state was acknowledged, has left the ring: the lowest number of such flows
 * is kept until the queue has passed the last of them. Two generations, so that under load, where there always is one more,
 * the number still moves on. The answer may be too low, never too high.
 */
import type { WordQueue } from "./queue.ts";
import { isBefore } from "./serial.ts";

const NONE = -1;

export class Unsettled {
  #from = NONE;
  #until = 0;
  #laterFrom = NONE;
  #laterUntil = 0;

  /** A flow that was sent as `seq`, not acknowledged, waits in the queue before `position`. */
  waits(seq: number, position: number): void {
    if (this.#laterFrom === NONE || isBefore(seq, this.#laterFrom)) this.#laterFrom = seq;
    this.#laterUntil = position;
  }

  /** The queue was put together anew and ends at `position`. */
  defer(position: number): void {
    this.#until = position;
    this.#laterUntil = position;
  }

  /** The lowest number in question; `onTheWay` is the lowest of the resend ring. */
  from(data: WordQueue, onTheWay: number): number {
    while (this.#from !== NONE || this.#laterFrom !== NONE) {
      if (this.#from !== NONE && !data.passed(this.#until)) break;
      this.#from = this.#laterFrom;
      this.#until = this.#laterUntil;
      this.#laterFrom = NONE;
    }
    let lowest = onTheWay;
    if (this.#from !== NONE && isBefore(this.#from, lowest)) lowest = this.#from;
    if (this.#laterFrom !== NONE && isBefore(this.#laterFrom, lowest)) lowest = this.#laterFrom;
    return lowest;
  }
}
