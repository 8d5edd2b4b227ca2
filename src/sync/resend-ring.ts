/**
 * What was sent and is not yet acknowledged, found by its sequence number.
 *
 * An element is one word: 0 for nothing, a slot + 1 for a flow, CONTROL | flags for a control message, whose range is
 * kept beside it. The ring holds `size` consecutive sequence numbers, so who sends number n must first take what n - size
 * left behind (`take`): nothing is ever overwritten.
 */
import { distance, next } from "./serial.ts";

export const NOTHING = 0;
export const CONTROL = 0x80000000;
export const isControl = (element: number): boolean => element >= CONTROL;
export const slotOf = (element: number): number => element - 1;

export class ResendRing {
  readonly size: number;
  readonly #mask: number;
  readonly #elements: Uint32Array;
  readonly #froms: Uint32Array;
  readonly #tos: Uint32Array;
  #oldest: number;
  #end: number;
  #count = 0;
  /** Range of the control message that was taken last. */
  from = 0;
  to = 0;

  /** `size` is rounded up to a power of two; `firstSeq` is the number of the first message that will be sent. */
  constructor(size: number, firstSeq: number) {
    this.size = 2 ** Math.ceil(Math.log2(Math.max(size, 2)));
    this.#mask = this.size - 1;
    this.#elements = new Uint32Array(this.size);
    this.#froms = new Uint32Array(this.size);
    this.#tos = new Uint32Array(this.size);
    this.#oldest = firstSeq >>> 0;
    this.#end = firstSeq >>> 0;
  }

  /** Elements that wait for their acknowledgement. */
  get count(): number {
    return this.#count;
  }

  /** The oldest number that may still be unacknowledged; `end` when nothing is. */
  get oldest(): number {
    while (this.#oldest !== this.#end && this.#elements[this.#oldest & this.#mask] === NOTHING)
      this.#oldest = next(this.#oldest);
    return this.#oldest;
  }

  /** The lowest number of a flow that is unacknowledged; `end` when there is none. */
  get oldestFlow(): number {
    let seq = this.oldest;
    while (seq !== this.#end && (this.peek(seq) === NOTHING || isControl(this.peek(seq)))) seq = next(seq);
    return seq;
  }

  /** One past the newest number sent. */
  get end(): number {
    return this.#end;
  }

  /** Numbers from the oldest unacknowledged one to the newest. */
  get span(): number {
    return distance(this.oldest, this.#end);
  }

  /** Keeps the message with the number `end`, and moves `end` on. NOTHING for a message that needs no acknowledgement. */
  append(element: number, from: number, to: number): void {
    const at = this.#end & this.#mask;
    this.#elements[at] = element;
    this.#froms[at] = from;
    this.#tos[at] = to;
    if (element !== NOTHING) this.#count++;
    this.#end = next(this.#end);
    // The number that stood here a ring ago is forgotten: its place answers for the new one now.
    if (distance(this.#oldest, this.#end) > this.size) this.#oldest = (this.#end - this.size) >>> 0;
  }

  /** Takes out what was sent as `seq`; `seq` lies between `end` - `size` and `end`. */
  take(seq: number): number {
    const at = seq & this.#mask;
    const element = this.#elements[at];
    if (element === NOTHING) return NOTHING;
    this.#elements[at] = NOTHING;
    this.from = this.#froms[at];
    this.to = this.#tos[at];
    this.#count--;
    return element;
  }

  /** What was sent as `seq`, left where it is. */
  peek(seq: number): number {
    return this.#elements[seq & this.#mask];
  }
}
