/**
 * Message header: the first 8 bytes of every sync message, and the range that ACK, NACK and RESYNC carry behind it.
 *
 *   byte  0        1      2       4         8     12
 *         ver|typ  flags  length  sequence  from  to      ver = high nibble (1), typ = low nibble
 *
 * All big-endian. `length` in bytes, header included; sequence numbers and ranges (both ends inclusive) are serial
 * numbers wrapping at 2^32. Several messages follow each other in a datagram, or in a TCP stream, without more framing.
 * Source: conntrackd's synchronisation protocol, version 1, "Message header", "Control messages", "Parsing rules".
 * The readers trust the caller: `frameLength` said that the message at `at` is there.
 */
export const HEADER_BYTES = 8;
/** Header and range. */
export const CONTROL_BYTES = 16;
export const PROTOCOL_VERSION = 1;

export const CT_NEW = 0;
export const CT_UPDATE = 1;
export const CT_DESTROY = 2;
export const EXP_NEW = 3;
export const EXP_UPDATE = 4;
export const EXP_DESTROY = 5;
export const CTL = 10;

export const FLAG_RESYNC = 0x02;
export const FLAG_NACK = 0x04;
export const FLAG_ACK = 0x08;
export const FLAG_ALIVE = 0x10;
export const FLAG_HELLO = 0x20;
export const FLAG_HELLO_BACK = 0x40;
const FLAGS_WITH_RANGE = FLAG_RESYNC | FLAG_NACK | FLAG_ACK;

/** What is left is shorter than the smallest message could be. */
export const FRAME_TRUNCATED = -1;
/** The length field is impossible, or promises more than is left. */
export const FRAME_BAD_SIZE = -2;

export const headerVersion = (view: DataView, at: number): number => view.getUint8(at) >>> 4;
export const headerType = (view: DataView, at: number): number => view.getUint8(at) & 0x0f;
export const headerFlags = (view: DataView, at: number): number => view.getUint8(at + 1);
export const headerLength = (view: DataView, at: number): number => view.getUint16(at + 2);
export const headerSeq = (view: DataView, at: number): number => view.getUint32(at + 4);
export const rangeFrom = (view: DataView, at: number): number => view.getUint32(at + 8);
export const rangeTo = (view: DataView, at: number): number => view.getUint32(at + 12);

export function putHeader(
  view: DataView,
  at: number,
  type: number,
  flags: number,
  lengthBytes: number,
  seq: number,
): void {
  view.setUint8(at, (PROTOCOL_VERSION << 4) | type);
  view.setUint8(at + 1, flags);
  view.setUint16(at + 2, lengthBytes);
  view.setUint32(at + 4, seq);
}

/** Writes the range of the control message at `at`: first and last sequence number. RESYNC has two zeros. */
export function putRange(view: DataView, at: number, from: number, to: number): void {
  view.setUint32(at + 8, from);
  view.setUint32(at + 12, to);
}

/**
 * Length in bytes of the message at `at`, or FRAME_TRUNCATED or FRAME_BAD_SIZE. `end` is where the datagram ends; after
 * an error nothing says where the next message would start, so the rest of the datagram is lost. The version is not
 * looked at: a message of another version is skipped by its length.
 */
export function frameLength(view: DataView, at: number, end: number): number {
  const leftBytes = end - at;
  if (leftBytes < HEADER_BYTES) return FRAME_TRUNCATED;
  const lengthBytes = headerLength(view, at);
  if (lengthBytes === 0 || lengthBytes > leftBytes) return FRAME_BAD_SIZE;
  if (headerType(view, at) === CTL && (headerFlags(view, at) & FLAGS_WITH_RANGE) !== 0) {
    if (leftBytes < CONTROL_BYTES) return FRAME_TRUNCATED;
    return lengthBytes < CONTROL_BYTES ? FRAME_BAD_SIZE : lengthBytes;
  }
  return lengthBytes < HEADER_BYTES ? FRAME_BAD_SIZE : lengthBytes;
}
