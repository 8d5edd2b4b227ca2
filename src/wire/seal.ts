/**
 * A sealed datagram: what a link with a key carries in the place of a clear one.
 *
 *   byte  0      1     2       4       8        16       24       end - 16
 *         magic  kind  length  key id  session  counter  body  …  tag
 *
 * Big-endian. The magic is no version that a clear message can have: its high four bits are 12, those of conntrackd's
 * messages 1; the low four are the version of this layout. `length` in bytes, of the whole datagram, is where a clear
 * message has its own, so a node without a key skips all of it as one message of a version it does not know. `session` and
 * `counter` are the sender's. The first 24 bytes are authenticated, the body is encrypted too.
 *
 * The body of DATA is the clear datagram, of HELLO the greeting below. docs/protocol.md, "Sealed links", has the rules.
 *
 *   byte  0      8          24    40
 *         knows  challenge  echo
 */
import { PROTOCOL_VERSION } from "./header.ts";

export const SEAL_HEADER_BYTES = 24;
export const SEAL_TAG_BYTES = 16;
/** What sealing adds to a datagram. */
export const SEAL_OVERHEAD_BYTES = SEAL_HEADER_BYTES + SEAL_TAG_BYTES;
export const HELLO_BODY_BYTES = 40;
export const HELLO_BYTES = SEAL_OVERHEAD_BYTES + HELLO_BODY_BYTES;

const MAGIC = 0xc1;
export const KIND_HELLO = 1;
export const KIND_DATA = 2;
const TWO_32 = 0x1_0000_0000;

/** A random 64-bit number that names one life of a node, as two words; both 0 is nobody's. */
export type SessionId = Uint32Array;
/** 128 random bits, as four words. */
export type Challenge = Uint32Array;

export interface Hello {
  readonly session: SessionId;
  /** The receiver's session that the sender has established; nobody's if none. */
  readonly knows: SessionId;
  readonly challenge: Challenge;
  /** The last challenge that the sender heard. */
  readonly echo: Challenge;
}

/** What a datagram claims to be, by its form alone. */
export type SealForm = "clear" | "malformed" | "hello" | "data";

export function sealForm(view: DataView, at: number, length: number): SealForm {
  if (length === 0) return "malformed";
  const first = view.getUint8(at);
  if (first >>> 4 === PROTOCOL_VERSION) return "clear";
  if (first !== MAGIC || length < SEAL_OVERHEAD_BYTES || view.getUint16(at + 2) !== length) return "malformed";
  if (view.getUint32(at + 16) >= 0x20_0000) return "malformed"; // Counters stay below 2^53.
  const kind = view.getUint8(at + 1);
  if (kind === KIND_DATA) return "data";
  return kind === KIND_HELLO && length === HELLO_BYTES ? "hello" : "malformed";
}

export const sealKeyId = (view: DataView, at: number): number => view.getUint32(at + 4);
export const sealCounter = (view: DataView, at: number): number =>
  view.getUint32(at + 16) * TWO_32 + view.getUint32(at + 20);
export const sealIsOf = (view: DataView, at: number, session: SessionId): boolean =>
  view.getUint32(at + 8) === session[0] && view.getUint32(at + 12) === session[1];

export function putSeal(
  view: DataView,
  at: number,
  kind: number,
  lengthBytes: number,
  keyId: number,
  session: SessionId,
  counter: number,
): void {
  view.setUint8(at, MAGIC);
  view.setUint8(at + 1, kind);
  view.setUint16(at + 2, lengthBytes);
  view.setUint32(at + 4, keyId);
  putWords(view, at + 8, session);
  view.setUint32(at + 16, Math.floor(counter / TWO_32));
  view.setUint32(at + 20, counter % TWO_32);
}

/** Reads the greeting in the HELLO at `at`, once its body lies there in clear. */
export const readHello = (view: DataView, at: number): Hello => ({
  session: words(view, at + 8, 2),
  knows: words(view, at + SEAL_HEADER_BYTES, 2),
  challenge: words(view, at + SEAL_HEADER_BYTES + 8, 4),
  echo: words(view, at + SEAL_HEADER_BYTES + 24, 4),
});

/** Writes a greeting's body, in clear, behind the header at `at`. */
export function putHello(view: DataView, at: number, hello: Omit<Hello, "session">): void {
  putWords(view, at + SEAL_HEADER_BYTES, hello.knows);
  putWords(view, at + SEAL_HEADER_BYTES + 8, hello.challenge);
  putWords(view, at + SEAL_HEADER_BYTES + 24, hello.echo);
}

function putWords(view: DataView, at: number, from: Uint32Array): void {
  for (let i = 0; i < from.length; i++) view.setUint32(at + i * 4, from[i]);
}

const words = (view: DataView, at: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => view.getUint32(at + i * 4));
