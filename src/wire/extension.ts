/**
 * Extension messages (header type 15): what two ctsync nodes say to each other beyond conntrackd's protocol, on a sealed
 * channel only. The header is as ever; behind it
 *
 *   byte  8        9  10  11  12
 *         subtype  a  b   c   words of 32 bits, big-endian
 *
 *   STATE    1  a version (1), b role, c STATE_… flags; words: capability bits, epoch (2), the other's epoch as far as it is
 *               known (2, or zeros), flows of the internal cache, bulk: number, flows sent, flows when it began, clock of its claims (2), its last reign
 *   SUMS     2  a level, b which one; words: epoch of the sender, of the addressee (low halves), unsettled number, flows
 *               told, 64 sums: of the groups of buckets (level 0), of the buckets of group b (level 1)
 *   LIST     3  a pairs (32 at most); words: epochs and unsettled number as in SUMS, first and last key, then key and content of
 *               every flow that was told and whose key lies between them, both ends included
 *   ASK      4  a level, b which one; words: epoch of the addressee, 64 bits (2): of level 0 the groups whose SUMS are wanted,
 *               of level 1 the buckets of group b whose LISTs are
 *   WANT     5  a keys (64 at most); words: epoch of the addressee, keys of flows that are to be sent again
 *   VERDICT  6  a sums of the 64 that differ; words: epoch of the addressee, number of the SUMS compared, flows known,
 *               flows beside those that a former life of the addressee told
 *   PREPARE  7  words: epoch of the addressee, number of the question: commit what you have, this node is about to hand over
 *   PREPARED 8  words: epoch of the addressee, number of the question, flows committed, flows refused
 *
 * A message may be longer than what is read of it, and a subtype nobody knows is passed over: so later versions can add.
 * None is acknowledged or sent again by itself; each says anew what holds when it is sent: decisions of src/sync say why.
 */
import { HEADER_BYTES, putHeader } from "./header.ts";

export const EXT = 15;

export const EXT_STATE = 1;
export const EXT_SUMS = 2;
export const EXT_LIST = 3;
export const EXT_ASK = 4;
export const EXT_WANT = 5;
export const EXT_VERDICT = 6;
export const EXT_PREPARE = 7;
export const EXT_PREPARED = 8;

export const EXT_VERSION = 1;
export const CAPABILITY_DIGESTS = 1 << 0;
export const CAPABILITY_OWNERSHIP = 1 << 1;

/** The external cache had no room for a flow of the addressee; a bulk is being sent; the last bulk arrived as a whole. */
export const STATE_FULL = 1 << 0;
export const STATE_BULK_SENDING = 1 << 1;
export const STATE_BULK_ARRIVED = 1 << 2;

/** Words of STATE. */
export const AT_CAPABILITIES = 0;
export const AT_EPOCH = 1;
export const AT_HEARD_EPOCH = 3;
export const AT_FLOWS = 5;
export const AT_BULK_NUMBER = 6;
export const AT_BULK_SENT = 7;
export const AT_BULK_TOTAL = 8;
export const AT_CLOCK = 9;
export const AT_REIGN = 11;

/** Words of SUMS and LIST, and of what is addressed to one life of the peer: ASK, WANT, VERDICT, PREPARE, PREPARED. */
export const AT_FROM_EPOCH = 0;
export const AT_TO_EPOCH = 1;
export const AT_UNSETTLED = 2;
export const AT_TOLD = 3;
export const AT_SUMS = 4;
export const AT_FIRST_KEY = 3;
export const AT_LAST_KEY = 4;
export const AT_PAIRS = 5;
export const AT_ADDRESSEE = 0;
export const AT_CHOSEN = 1;
export const AT_KEYS = 1;
export const AT_COMPARED = 1;
export const AT_KNOWN = 2;
export const AT_LEFT = 3;
export const AT_QUESTION = 1;
export const AT_PREPARED_TAKEN = 2;
export const AT_PREPARED_REFUSED = 3;

export const SUMS = 64;
export const LIST_PAIRS_MAX = 32;
export const WANT_KEYS_MAX = 64;
const WORDS_MAX = AT_PAIRS + 2 * LIST_PAIRS_MAX;
const WORDS_FROM = HEADER_BYTES + 4;

/** Words that each subtype has at least, by its number. */
const WORDS_LEAST: readonly number[] = [0, 12, AT_SUMS + SUMS, AT_PAIRS, 3, AT_KEYS, 4, 2, 4];

/** One message, made once and used again. */
export class ExtensionMessage {
  subtype = 0;
  a = 0;
  b = 0;
  c = 0;
  readonly words = new Uint32Array(WORDS_MAX);
  /** How many of them count. */
  count = 0;

  /** Starts a message of this subtype, all else zero. */
  begin(subtype: number, a = 0, b = 0): void {
    this.subtype = subtype;
    this.a = a;
    this.b = b;
    this.c = 0;
    this.count = WORDS_LEAST[subtype];
    this.words.fill(0);
  }
}

/** "unknown": well-formed, of a subtype that a later version may know. */
export type DecodedExtension = "ok" | "badPayload" | "unknown";

/** Reads the message of `lengthBytes` at `at`, header included. Unless "ok" comes back, `message` means nothing. */
export function decodeExtension(
  view: DataView,
  at: number,
  lengthBytes: number,
  message: ExtensionMessage,
): DecodedExtension {
  if (lengthBytes < WORDS_FROM) return "badPayload";
  message.subtype = view.getUint8(at + HEADER_BYTES);
  message.a = view.getUint8(at + HEADER_BYTES + 1);
  message.b = view.getUint8(at + HEADER_BYTES + 2);
  message.c = view.getUint8(at + HEADER_BYTES + 3);
  const known = message.subtype > 0 && message.subtype < WORDS_LEAST.length;
  if (!known) return "unknown";
  message.count = Math.min((lengthBytes - WORDS_FROM) >>> 2, WORDS_MAX);
  if (message.count < wordsOf(message)) return "badPayload";
  for (let i = 0; i < message.count; i++) message.words[i] = view.getUint32(at + WORDS_FROM + i * 4);
  return isSound(message) ? "ok" : "badPayload";
}

/** Words that are there if the message is whole. */
function wordsOf({ subtype, a }: ExtensionMessage): number {
  const least = WORDS_LEAST[subtype];
  return subtype === EXT_LIST ? least + 2 * a : subtype === EXT_WANT ? least + a : least;
}

function isSound({ subtype, a, b, words }: ExtensionMessage): boolean {
  switch (subtype) {
    case EXT_STATE:
      return a >= 1 && (words[AT_EPOCH] | words[AT_EPOCH + 1]) !== 0;
    case EXT_SUMS:
    case EXT_ASK:
      return a <= 1 && b < SUMS;
    case EXT_LIST:
      return a <= LIST_PAIRS_MAX && words[AT_FIRST_KEY] <= words[AT_LAST_KEY];
    case EXT_WANT:
      return a <= WANT_KEYS_MAX;
    default:
      return a <= SUMS;
  }
}

/** Writes the message, header included, and returns its length in bytes: MESSAGE_MAX_BYTES at most. */
export function encodeExtension(
  message: ExtensionMessage,
  view: DataView,
  at: number,
  flags: number,
  seq: number,
): number {
  const bytes = WORDS_FROM + message.count * 4;
  putHeader(view, at, EXT, flags, bytes, seq);
  view.setUint8(at + HEADER_BYTES, message.subtype);
  view.setUint8(at + HEADER_BYTES + 1, message.a);
  view.setUint8(at + HEADER_BYTES + 2, message.b);
  view.setUint8(at + HEADER_BYTES + 3, message.c);
  for (let i = 0; i < message.count; i++) view.setUint32(at + WORDS_FROM + i * 4, message.words[i]);
  return bytes;
}
