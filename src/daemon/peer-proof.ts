/**
 * What is known of the equality of two caches on two machines: our internal one and the peer's external one, and the other
 * way round. Only a ctsync node on a sealed channel exchanges digests; of any other peer nothing can be proven.
 */
import type { Replica } from "../replica.ts";

export interface Proof {
  /** Digests are exchanged with this peer. */
  readonly supported: boolean;
  /** When the two were last found equal, on the clock of the loop; -Infinity: never. */
  readonly equalMs: number;
  /** Over how many flows. */
  readonly flows: number;
  /** Parts of the table that differed in the last comparison. */
  readonly differing: number;
}

/** What a replica may offer. */
interface Proving {
  proof?(peer: number): Proof;
  prove?(peer: number): void;
  held?(peer: number): Proof;
}

const NONE: Proof = { supported: false, equalMs: Number.NEGATIVE_INFINITY, flows: 0, differing: 0 };

/** Of our internal cache and the peer's external one. */
export const proofOf = (replica: Replica, peer: number): Proof => (replica as Proving).proof?.(peer) ?? NONE;

/** Compares the two as soon as may be; `proofOf` then says what came of it. */
export const prove = (replica: Replica, peer: number): void => (replica as Proving).prove?.(peer);

/** Of the peer's internal cache and our external one: whether we hold all that it has. */
export const heldProof = (replica: Replica, peer: number): Proof => (replica as Proving).held?.(peer) ?? NONE;
