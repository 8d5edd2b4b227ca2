/**
 * Why a peer may lack something, or have too much, though nobody is sending it: each reason from the moment that it came up until
 * what repairs it has run. Nothing that is dropped for want of room goes without one (D-007).
 */
export type DirtyReason =
  /** A flow of our kernel found no room in the internal cache, so the peer is not told of it. */
  | "internal-full"
  /** A flow of the peer found no room in the external cache. */
  | "external-full"
  /** The peer says that it found no room for a flow of ours. */
  | "peer-full"
  /** Flows that ended were forgotten, to make room, before the peer heard of it. */
  | "destroys-forgotten"
  /** A question or acknowledgement found no room in its queue. */
  | "control-dropped";

export class Dirt {
  readonly #sinceMs = new Map<DirtyReason, number>();

  /** The oldest reason, or null: the peer is clean. */
  get reason(): DirtyReason | null {
    for (const reason of this.#sinceMs.keys()) return reason;
    return null;
  }

  has(reason: DirtyReason): boolean {
    return this.#sinceMs.has(reason);
  }

  /** When the reason came up last; Infinity when it did not. */
  sinceMs(reason: DirtyReason): number {
    return this.#sinceMs.get(reason) ?? Number.POSITIVE_INFINITY;
  }

  mark(reason: DirtyReason, nowMs: number): void {
    this.#sinceMs.set(reason, nowMs);
  }

  settle(reason: DirtyReason): void {
    this.#sinceMs.delete(reason);
  }
}
