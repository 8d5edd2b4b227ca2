/**
 * Whether datagrams of the peer's address are refused, and why: such a peer is there, though nothing of it is heard, so nobody may
 * take it for gone.
 */

const WHY = {
  clear: "they are clear, so that node has no key",
  wrongKey: "they are sealed with a key that is not in the key file here",
  forged: "who made them has not the key",
  malformed: "they are neither clear nor sealed",
  badVersion: "they are of another version, or sealed, and this link has no key",
} as const;
type Reason = keyof typeof WHY;

/** A peer that is not understood greets four times a second. */
const RECENT_MS = 5_000;

export class Refusals {
  readonly #told = new Map<Reason, number>();
  #why: Reason | undefined;
  #atMs = Number.NEGATIVE_INFINITY;

  /** What the counters say by now. */
  look(counts: Partial<Readonly<Record<Reason, number>>>, nowMs: number): void {
    for (const reason of Object.keys(WHY) as Reason[]) {
      const count = counts[reason] ?? 0;
      if (count <= (this.#told.get(reason) ?? 0)) continue;
      this.#told.set(reason, count);
      this.#why = reason;
      this.#atMs = nowMs;
    }
  }

  /** Why datagrams were refused lately; undefined: none were. */
  recent(nowMs: number): string | undefined {
    return this.#why === undefined || nowMs - this.#atMs > RECENT_MS ? undefined : WHY[this.#why];
  }
}
