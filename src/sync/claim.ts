/**
 * What a claim on a flow says: how good a node's word on it is (D-008), and whether the flow's traffic was seen there.
 *
 *   1                    it stood in a dump of the kernel's table of a backup: WEAK
 *   2                    it stood in that of a node whose role is not said: UNSAID
 *   reign, step 0        it stood in the node's kernel when the node took over, or was found there later: the *base* of the reign
 *   reign, step 1        it was found in the node's kernel by a daemon that started anew amid the reign: FOUND. It may have moved
 *   reign, step 2 …      it *moved*: the node's kernel raised an event of it; the node's clock at that time
 *
 * A claim is a number below 2^53, of which the reign is the high part and the step the low 32 bits. In the reign 0, before
 * anybody took over, steps begin at 3.
 */
import type { Epoch, Session } from "./session.ts";

export const WEAK = 1;
export const UNSAID = 2;
export const FIRST = 3;
export const REIGN = 2 ** 32;
/** The step of what was found. */
export const FOUND = 1;

export const reignOf = (claim: number): number => Math.floor(claim / REIGN);

export const hasMoved = (claim: number): boolean => claim >= FIRST && claim >>> 0 > FOUND;
export const isFound = (claim: number): boolean => claim >>> 0 === FOUND && claim >= REIGN;

/** Of two equal claims ours counts: our epoch is known to be higher than the peer's. */
export function isAhead({ extension, peerEpoch }: Session): boolean {
  return extension !== undefined && peerEpoch !== null && isHigher(extension.ownEpoch, peerEpoch);
}

const isHigher = (a: Epoch, b: Epoch): boolean => a.high > b.high || (a.high === b.high && a.low > b.low);
