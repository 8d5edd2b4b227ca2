/**
 * Attributes as a tree that can be changed and written again: netlink's, which nest, and the sync protocol's, which do not.
 *
 *   byte  0       2     4
 *         length  type  payload, padded to 4 bytes           length with its header, without the padding
 *
 * Netlink is little-endian here, the sync protocol big-endian. A payload that is itself a clean run of netlink attributes
 * is taken for nested ones: a wrong guess does no harm, since what is written again is the same bytes.
 */
const HEADER_BYTES = 4;
const NETLINK_TYPE_MASK = 0x3fff;

export interface Attribute {
  /** As it stands, flags included. */
  type: number;
  payload: Uint8Array;
  /** Instead of the payload. */
  nested?: Attribute[];
}

export const plainType = ({ type }: Attribute): number => type & NETLINK_TYPE_MASK;

export const align4 = (bytes: number): number => (bytes + 3) & ~3;

/** Without a view: making one of a small array costs more than all the rest here. */
const number16 = (bytes: Uint8Array, at: number, littleEndian: boolean): number =>
  littleEndian ? bytes[at]! | (bytes[at + 1]! << 8) : (bytes[at]! << 8) | bytes[at + 1]!;

function putNumber16(bytes: Uint8Array, at: number, value: number, littleEndian: boolean): void {
  bytes[at + (littleEndian ? 0 : 1)] = value;
  bytes[at + (littleEndian ? 1 : 0)] = value >>> 8;
}

/** Undefined when the bytes from `from` to `end` are no clean run of attributes. */
export function parseAttributes(
  bytes: Uint8Array,
  littleEndian: boolean,
  from = 0,
  end = bytes.length,
): Attribute[] | undefined {
  const attributes: Attribute[] = [];
  for (let at = from; at < end; ) {
    if (at + HEADER_BYTES > end) return undefined;
    const lengthBytes = number16(bytes, at, littleEndian);
    if (lengthBytes < HEADER_BYTES || at + lengthBytes > end) return undefined;
    const type = number16(bytes, at + 2, littleEndian);
    const payloadEnd = at + lengthBytes;
    const nests = littleEndian && lengthBytes >= 2 * HEADER_BYTES;
    const nested = nests ? parseAttributes(bytes, true, at + HEADER_BYTES, payloadEnd) : undefined;
    const payload = bytes.slice(at + HEADER_BYTES, payloadEnd);
    attributes.push(nested === undefined ? { type, payload } : { type, payload, nested });
    at += align4(lengthBytes);
  }
  return attributes;
}

export function attributeBytes(attributes: readonly Attribute[], littleEndian: boolean): Uint8Array {
  const parts = attributes.map(({ type, payload, nested }) => {
    const body = nested === undefined ? payload : attributeBytes(nested, littleEndian);
    const bytes = new Uint8Array(align4(HEADER_BYTES + body.length));
    putNumber16(bytes, 0, HEADER_BYTES + body.length, littleEndian);
    putNumber16(bytes, 2, type, littleEndian);
    bytes.set(body, HEADER_BYTES);
    return bytes;
  });
  return concatenate(parts);
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
