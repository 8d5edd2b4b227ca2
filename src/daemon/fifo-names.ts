/**
 * Whose words on keepalived's fifo count: all, or those of one vrrp_sync_group or vrrp_instance. Where words come and none of
 * them is about it, its name is likely mistyped, and somebody is to be told.
 */
import type { FifoWord } from "./fifo-words.ts";

/** keepalived says the words of one transition, its groups' and its instances', within some milliseconds. */
const WAIT_MS = 1_000;
const NAMES_MAX = 8;

export class FifoNames {
  readonly #wanted: string;
  readonly #others = new Set<string>();
  #sinceMs = Number.POSITIVE_INFINITY;
  /** The name is right, or a warning was given. */
  #settled: boolean;
  /** Words about another one. */
  skipped = 0;

  /** Empty: all count. */
  constructor(wanted: string) {
    this.#wanted = wanted;
    this.#settled = wanted === "";
  }

  /** Whether the word counts. */
  take({ kind, name }: FifoWord, nowMs: number): boolean {
    if (this.#wanted === "") return true;
    if (name === this.#wanted) {
      this.#settled = true;
      return true;
    }
    this.skipped++;
    this.#sinceMs = Math.min(this.#sinceMs, nowMs);
    if (!this.#settled && this.#others.size < NAMES_MAX) this.#others.add(`${kind} "${name}"`);
    return false;
  }

  /** A warning, once. */
  warning(nowMs: number): string | undefined {
    if (this.#settled || nowMs - this.#sinceMs < WAIT_MS) return undefined;
    this.#settled = true;
    return (
      `keepalived's fifo speaks of ${[...this.#others].join(", ")}, and not of "${this.#wanted}" (keepalived.instance): ` +
      "none of its words counts"
    );
  }
}
