/**
 * Expectations by slot and by key: what the internal and the external cache of them are made of. They are few, so
 * ordinary objects do; all is bounded by the number of slots, and a full table is an answer.
 */
import { type Expectation, expectationKey } from "../flow/expectation.ts";

export class ExpectationTable {
  readonly slotsMax: number;
  readonly #slots = new Map<string, number>();
  readonly #expectations: (Expectation | undefined)[] = [];
  /** Slots below `#expectations.length` that are not in use. */
  readonly #free: number[] = [];

  constructor(slotsMax: number) {
    this.slotsMax = slotsMax;
  }

  get count(): number {
    return this.#slots.size;
  }

  /** One past the highest slot that was ever in use since the table was empty. */
  get end(): number {
    return this.#expectations.length;
  }

  /** Slot of the expectation with the same key, or -1. */
  find(expectation: Expectation): number {
    return this.#slots.get(expectationKey(expectation)) ?? -1;
  }

  /** Puts it in the place of the one with the same key, or into a free slot: its slot, or -1 when the table is full. */
  put(expectation: Expectation): number {
    const key = expectationKey(expectation);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#expectations.length;
      if (slot >= this.slotsMax) return -1;
      this.#slots.set(key, slot);
    }
    this.#expectations[slot] = expectation;
    return slot;
  }

  /** The expectation in `slot`, which is in use. */
  at(slot: number): Expectation {
    const expectation = this.#expectations[slot];
    if (expectation === undefined) throw new Error(`no expectation in slot ${slot}`);
    return expectation;
  }

  isUsed(slot: number): boolean {
    return this.#expectations[slot] !== undefined;
  }

  remove(slot: number): void {
    this.#slots.delete(expectationKey(this.at(slot)));
    this.#expectations[slot] = undefined;
    this.#free.push(slot);
  }

  /** The first used slot from `from` on, or -1. */
  nextUsed(from: number): number {
    for (let slot = from; slot < this.#expectations.length; slot++) if (this.isUsed(slot)) return slot;
    return -1;
  }

  clear(): void {
    this.#slots.clear();
    this.#expectations.length = 0;
    this.#free.length = 0;
  }
}

/** The expectation with the time that is left of its timeout. */
export function withTimeLeft(expectation: Expectation, elapsedSeconds: number): Expectation {
  const { timeoutSeconds } = expectation;
  if (timeoutSeconds === undefined) return expectation;
  return { ...expectation, timeoutSeconds: Math.max(0, timeoutSeconds - elapsedSeconds) };
}
