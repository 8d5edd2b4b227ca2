/**
 * Flows, or expectations, of the external cache that their peer has no more, though it never said so: they ended while its daemon was down.
 *
 *   asked     the peer is asked for all it has: a new round begins, every flow that it tells of is of this round
 *   answered  all of it has come: what is of an older round is stale
 *   + keepMs  what is stale still is removed, some slots a tick
 *
 * Stale flows are kept for a while since a firewall that has just booted has nothing to tell of either, and its last
 * flows are what its peer takes over (D-004).
 */
/** What the external caches, of flows and of expectations, have in common. */
interface ToldEntries {
  beginRound(peer: number): void;
  isStale(slot: number, peer: number): boolean;
  remove(slot: number): void;
  readonly slotsEnd: number;
}

/** A tick looks at so many, and removes so many of them. */
const SLOTS_PER_TICK = 16_384;
const REMOVED_PER_TICK = 512;
const NEVER = Number.POSITIVE_INFINITY;

export class StaleEntries {
  readonly #cache: ToldEntries;
  readonly #peer: number;
  readonly #keepMs: number;
  #asked = 0;
  #answered = 0;
  #dueMs = NEVER;
  #slot = 0;

  constructor(cache: ToldEntries, peer: number, keepMs: number) {
    this.#cache = cache;
    this.#peer = peer;
    this.#keepMs = keepMs;
  }

  /** How often the peer was asked for everything, and up to which of these times it has answered. How many were removed. */
  tick(asked: number, answered: number, nowMs: number): number {
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#dueMs = NEVER;
      this.#cache.beginRound(this.#peer);
    }
    if (answered !== this.#answered && answered === asked) {
      this.#answered = answered;
      this.#dueMs = nowMs + this.#keepMs;
      this.#slot = 0;
    }
    return nowMs < this.#dueMs ? 0 : this.#removeSome();
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  #removeSome(): number {
    let removed = 0;
    const end = Math.min(this.#slot + SLOTS_PER_TICK, this.#cache.slotsEnd);
    for (; this.#slot < end && removed < REMOVED_PER_TICK; this.#slot++) {
      if (!this.#cache.isStale(this.#slot, this.#peer)) continue;
      this.#cache.remove(this.#slot);
      removed++;
    }
    if (this.#slot >= this.#cache.slotsEnd) this.#dueMs = NEVER;
    return removed;
  }
}
