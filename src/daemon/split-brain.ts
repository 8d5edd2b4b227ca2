/**
 * Both nodes primary at once, as the peer says of itself on a sealed link. A takeover from a living primary makes it so
 * for a moment, so it is called a split only when it lasts.
 */
import type { Role } from "../report.ts";

/** Longer than any planned transition takes. */
const LASTING_MS = 2_000;

/** `began`: it has lasted; `ended`: it is over; `passed`: it was over before it could be called a split. */
export type SplitEvent = "began" | "ended" | "passed" | "none";

export class SplitBrain {
  #sinceMs: number | null = null;
  #isSplit = false;

  look(role: Role, peerRole: Role, nowMs: number): SplitEvent {
    const both = role === "master" && peerRole === "master";
    if (!both) {
      const event = this.#isSplit ? "ended" : this.#sinceMs === null ? "none" : "passed";
      this.#sinceMs = null;
      this.#isSplit = false;
      return event;
    }
    this.#sinceMs ??= nowMs;
    if (this.#isSplit || nowMs - this.#sinceMs < LASTING_MS) return "none";
    this.#isSplit = true;
    return "began";
  }

  /** Since when, while it lasts. */
  get sinceMs(): number | null {
    return this.#isSplit ? this.#sinceMs : null;
  }

  /** Both are primary now, as far as this node knows. */
  get isDouble(): boolean {
    return this.#sinceMs !== null;
  }
}
