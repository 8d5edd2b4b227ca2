/**
 * Netlink messages: what every message to and from the kernel starts with, and how its attributes are laid out.
 *
 *   message    byte  0       4     6      8         12       16
 *                    length  type  flags  sequence  port id  payload, padded to 4 bytes
 *   attribute  byte  0       2     4
 *                    length  type  payload, padded to 4 bytes
 *
 * All of these are in the machine's byte order (little-endian on every target), lengths in bytes with their header and
 * without the padding. The two high bits of an attribute's type are flags. Port id: the socket that a request came from,
 * and in an event the socket whose request caused it, 0 for the kernel's own doing.
 * Source: linux/netlink.h.
 */
export const NLMSG_HEADER_BYTES = 16;
export const LENGTH_AT = 0;
export const TYPE_AT = 4;
export const FLAGS_AT = 6;
export const SEQUENCE_AT = 8;
export const PORT_ID_AT = 12;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** Of an error message: a negative errno, then the header of the refused request. */
export const ERROR_AT = 16;
export const REFUSED_SEQUENCE_AT = ERROR_AT + 4 + SEQUENCE_AT;
export const ERROR_BYTES = ERROR_AT + 4 + NLMSG_HEADER_BYTES;

export const NLM_F_REQUEST = 0x1;
/** The table changed while it was dumped: the dump may lack entries or hold one twice. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

export const ATTRIBUTE_HEADER_BYTES = 4;
/** NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
export const NLA_F_NESTED = 0x8000;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Where the next message or attribute starts. */
export const align4 = (bytes: number): number => (bytes + 3) & ~3;

export const messageLength = (view: DataView, at: number): number => view.getUint32(at + LENGTH_AT, true);
export const messageType = (view: DataView, at: number): number => view.getUint16(at + TYPE_AT, true);
export const messageFlags = (view: DataView, at: number): number => view.getUint16(at + FLAGS_AT, true);

export const attributeType = (view: DataView, at: number): number => view.getUint16(at + 2, true) & ATTRIBUTE_TYPE_MASK;

/** Where the attribute at `at` ends, without padding; -1 when its length lies about what lies before `end`. */
export function attributeEnd(view: DataView, at: number, end: number): number {
  const attributeEnd = at + view.getUint16(at, true);
  return attributeEnd < at + ATTRIBUTE_HEADER_BYTES || attributeEnd > end ? -1 : attributeEnd;
}

/** The start of the attribute after the one that spans [at, end). */
export const nextAttribute = (at: number, end: number): number => at + align4(end - at);
