/**
 * Claim: the last attribute of each flow, or end of one, that an extended peer is told of: header, then 8 bytes, a number below 2^53.
 * It says how good the sender's word on the flow is (`replica-ownership.ts`); conntrackd never sees one.
 */
import { EXTENDED_MESSAGE_MAX_BYTES } from "./encode.ts";
import { HEADER_BYTES } from "./header.ts";
import { putAttributeHeader } from "./put.ts";

const ATTR_EXT_CLAIM = 96;
/** No claim is higher: claims are compared as they are, and one that is higher than all others could never be taken back. */
export const CLAIM_MAX = Number.MAX_SAFE_INTEGER;
export const CLAIM_BYTES = 12;
/** The longest message about a flow, with its claim. */
export const LONGEST_MESSAGE_BYTES = EXTENDED_MESSAGE_MAX_BYTES + CLAIM_BYTES;
const CLAIM_START = (CLAIM_BYTES << 16) | ATTR_EXT_CLAIM;

/** Writes it behind the message's other attributes and returns where it ends. */
export function putClaim(view: DataView, at: number, claim: number): number {
  putAttributeHeader(view, at, ATTR_EXT_CLAIM, CLAIM_BYTES - 4);
  view.setUint32(at + 4, claim / 2 ** 32);
  view.setUint32(at + 8, claim);
  return at + CLAIM_BYTES;
}

/** The claim at the end of the message of `lengthBytes` at `at`, 0 when there is none: a claim is never 0. */
export function claimOf(view: DataView, at: number, lengthBytes: number): number {
  if (lengthBytes < HEADER_BYTES + CLAIM_BYTES) return 0;
  const from = at + lengthBytes - CLAIM_BYTES;
  return view.getUint32(from) === CLAIM_START ? view.getUint32(from + 4) * 2 ** 32 + view.getUint32(from + 8) : 0;
}
