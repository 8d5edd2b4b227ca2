/**
 * First-in first-out queue of 32-bit words in one array. Positions count up for ever, so a position that was noted says
 * later whether what stood there has left (`passed`). An empty queue starts again at the front of its array, which keeps
 * the pages behind it untouched.
 */
export class WordQueue {
  readonly #words: Uint32Array;
  readonly #mask: number;
  #head = 0;
  #tail = 0;
  /** Position of the array's first word: grows when the queue runs empty. */
  #base = 0;

  /** `capacity` is rounded up to a power of two. */
  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(capacity, 2)));
    this.#words = new Uint32Array(size);
    this.#mask = size - 1;
  }

  get length(): number {
    return this.#tail - this.#head;
  }

  /** Words that can be pushed until the queue is full. */
  get room(): number {
    return this.#mask + 1 - this.length;
  }

  /** Position that the next word pushed will have. */
  get end(): number {
    return this.#tail;
  }

  /** True when everything before `position` has left the queue. */
  passed(position: number): boolean {
    return this.#head >= position;
  }

  /** False when the queue is full. */
  push(word: number): boolean {
    if (this.room === 0) return false;
    this.#words[(this.#tail - this.#base) & this.#mask] = word;
    this.#tail++;
    return true;
  }

  clear(): void {
    this.#head = this.#tail;
    this.#base = this.#head;
  }

  /** The word `back` places before the end: 1 is the newest. The caller knows that there is one. */
  fromEnd(back: number): number {
    return this.#words[(this.#tail - back - this.#base) & this.#mask];
  }

  setFromEnd(back: number, word: number): void {
    this.#words[(this.#tail - back - this.#base) & this.#mask] = word;
  }

  /** The oldest word. The caller knows that there is one. */
  shift(): number {
    const word = this.#words[(this.#head - this.#base) & this.#mask];
    this.#head++;
    if (this.#head === this.#tail) this.#base = this.#head;
    return word;
  }
}
