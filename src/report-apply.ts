/** What the daemon reports of a kernel that follows its peer (`sync.apply = "live"`). */
import type { Refusal } from "./report.ts";

/** A takeover of a node whose kernel followed its peer. */
export interface AdoptReport {
  /** Entries of the kernel's table, and how many of them became this node's own. */
  readonly read: number;
  readonly adopted: number;
  /** Flows that the kernel had to be told of still, and how many of these it refused. */
  readonly missing: number;
  readonly refused: number;
}

/** How far the kernel follows the external cache. */
export interface ApplyReport {
  readonly mode: "live" | "commit";
  /** The kernel follows: this node is not primary. */
  readonly active: boolean;
  /** Flows that the kernel has to be told of still, and to forget; for how long the oldest of them has waited. */
  readonly waiting: number;
  readonly withdrawing: number;
  readonly oldestMs: number;
  /** Flows of the peer that stand in the kernel, and that it refused and does not have. */
  readonly standing: number;
  readonly failing: number;
  /** Refusals since the start. */
  readonly refusals: readonly Refusal[];
  /** Of the peer's expectations the same. */
  readonly expectations: { readonly standing: number; readonly failing: number; readonly refusals: readonly Refusal[] };
}
