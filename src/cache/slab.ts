/**
 * Records of a fixed number of 32-bit words in one array, named by number, taken and given back in any order.
 *
 * A number that was given back is taken again first, so the records in use stay in the low part of the array and the
 * pages above are never touched. What a record held when it was given back is still there when it is taken again.
 */
export class Slab {
  readonly words: Uint32Array;
  readonly #free: Uint32Array;
  readonly #recordsMax: number;
  #freeCount = 0;
  #end = 0;

  constructor(recordsMax: number, wordsEach: number) {
    this.#recordsMax = recordsMax;
    this.words = new Uint32Array(recordsMax * wordsEach);
    this.#free = new Uint32Array(recordsMax);
  }

  /** One past the highest number in use since none was. */
  get end(): number {
    return this.#end;
  }

  get count(): number {
    return this.#end - this.#freeCount;
  }

  /** A free record's number, or -1 when all are in use. */
  take(): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount];
    return this.#end < this.#recordsMax ? this.#end++ : -1;
  }

  /** Gives all back at once. */
  clear(): void {
    this.#freeCount = 0;
    this.#end = 0;
  }

  give(record: number): void {
    this.#free[this.#freeCount++] = record;
    if (this.#freeCount === this.#end) this.clear(); // Whoever walks the records in use has nothing to walk.
  }
}
