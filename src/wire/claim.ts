/**
 * Claim: the last attribute of each live flow that an extended peer is told of, 8 bytes of which the last 4 are its value.
 * It says how good the sender's word on the flow is (`replica-ownership.ts`); conntrackd never sees one.
 */
import { EXTENDED_MESSAGE_MAX_BYTES } from "./encode.ts";
import { HEADER_BYTES } from "./header.ts";
import { putUint32 } from "./put.ts";

const ATTR_EXT_CLAIM = 96;
export const CLAIM_BYTES = 8;
/** The longest message about a flow, with its claim. */
export const LONGEST_MESSAGE_BYTES = EXTENDED_MESSAGE_MAX_BYTES + CLAIM_BYTES;
const CLAIM_START = (CLAIM_BYTES << 16) | ATTR_EXT_CLAIM;

/** Writes it behind the message's other attributes and returns where it ends. */
export const putClaim = (view: DataView, at: number, claim: number): number =>
  putUint32(view, at, ATTR_EXT_CLAIM, claim);

/** The claim at the end of the message of `lengthBytes` at `at`, 0 when there is none: a claim is never 0. */
export function claimOf(view: DataView, at: number, lengthBytes: number): number {
  if (lengthBytes < HEADER_BYTES + CLAIM_BYTES) return 0;
  const from = at + lengthBytes - CLAIM_BYTES;
  return view.getUint32(from) === CLAIM_START ? view.getUint32(from + 4) : 0;
}
