/**
 * Attributes: what follows the header of a data message, in any order.
 *
 *   byte  0       2   4        4 + n
 *         length  id  payload  zero padding up to a multiple of 4
 *
 * Big-endian. `length` in bytes, 4 + n: padding not included. Conntrack messages (types 0-2) and expectation messages
 * (types 3-5) number their attributes separately; an `AttributeScan` is made for one of the two.
 * From EXTENDED_FROM on ids are ours: they go to a ctsync node on a sealed channel alone, which passes over those that it
 * does not know, where any other unknown id makes its message worthless.
 * Source: conntrackd's synchronisation protocol, version 1, sections 5, 6 and 8.
 */
export const ATTRIBUTE_HEADER_BYTES = 4;
const ABSENT = -1;

/** Conntrack attributes. */
export const ATTR_ORIG_IPV4 = 0;
export const ATTR_ORIG_IPV6 = 1;
export const ATTR_L4PROTO = 2;
export const ATTR_ORIG_PORTS = 3;
export const ATTR_TCP_STATE = 4;
export const ATTR_STATUS = 5;
export const ATTR_TIMEOUT = 6;
export const ATTR_MARK = 7;
export const ATTR_MASTER_IPV4 = 8;
export const ATTR_MASTER_IPV6 = 9;
export const ATTR_MASTER_L4PROTO = 10;
export const ATTR_MASTER_PORTS = 11;
export const ATTR_SNAT_IPV4 = 12;
export const ATTR_DNAT_IPV4 = 13;
export const ATTR_SNAT_PORT = 14;
export const ATTR_DNAT_PORT = 15;
export const ATTR_NAT_SEQ_ADJ = 16;
export const ATTR_SCTP_STATE = 17;
export const ATTR_SCTP_VTAG_ORIG = 18;
export const ATTR_SCTP_VTAG_REPLY = 19;
export const ATTR_DCCP_STATE = 20;
export const ATTR_DCCP_ROLE = 21;
export const ATTR_ICMP_TYPE = 22;
export const ATTR_ICMP_CODE = 23;
export const ATTR_ICMP_ID = 24;
export const ATTR_TCP_WSCALE_ORIG = 25;
export const ATTR_TCP_WSCALE_REPLY = 26;
export const ATTR_HELPER = 27;
export const ATTR_LABELS = 28;
export const ATTR_SNAT_IPV6 = 29;
export const ATTR_DNAT_IPV6 = 30;
export const ATTR_SYNPROXY = 31;
export const ATTR_ZONE = 32;

/** The first id that conntrackd will not give to anything: it has 33, and its successors count on. */
const EXTENDED_FROM = 64;
/** GRE's keys, UDP-Lite's ports: the source's, the destination's. */
export const ATTR_EXT_PORTS = 64;
/** The reply tuple, where it does not follow from what else is sent: source, destination, ports as a flow's ports word. */
export const ATTR_EXT_REPLY_IPV4 = 65;
export const ATTR_EXT_REPLY_IPV6 = 66;
/** A zone that counts in one direction only. */
export const ATTR_EXT_ZONE_ORIG = 67;
export const ATTR_EXT_ZONE_REPLY = 68;
/** A helper's name of 12 to 15 characters. */
export const ATTR_EXT_HELPER = 69;
/** The flow may have labels and has none; the value is 0. */
export const ATTR_EXT_NO_LABELS = 70;

/** Payload bytes by attribute id, the extended ones behind those of conntrackd; negative: at most so many. */
export function payloadTable(conntrackd: readonly number[], extended: readonly number[]): readonly number[] {
  const unknown = new Array<number>(EXTENDED_FROM - conntrackd.length).fill(NO_ATTRIBUTE);
  return [...conntrackd, ...unknown, ...extended];
}
/** No payload is that long. */
const NO_ATTRIBUTE = 0x10000;

export const CONNTRACK_PAYLOAD_BYTES = payloadTable(
  [8, 32, 1, 4, 1, 4, 4, 4, 8, 32, 1, 4, 4, 4, 2, 2, 24, 1, 4, 4, 1, 1, 1, 1, 2, 1, 1, -12, -1024, 16, 16, 12, 2],
  [4, 12, 36, 2, 2, -16, 1],
);

/** Where the attributes of one message lie. Made once, reused for every message. */
export class AttributeScan {
  readonly #payloadBytes: readonly number[];
  readonly #at: Int32Array;
  readonly #bytes: Int32Array;

  constructor(payloadBytes: readonly number[]) {
    this.#payloadBytes = payloadBytes;
    this.#at = new Int32Array(payloadBytes.length);
    this.#bytes = new Int32Array(payloadBytes.length);
  }

  /**
   * Walks the attributes from `at` to `end`. Of a repeated attribute the last one counts. False when an id is unknown or
   * a length lies: then the whole message is worthless, as nothing says where the next attribute starts. `extended`: ids
   * from EXTENDED_FROM on may come, and those of a later version are passed over.
   */
  scan(view: DataView, at: number, end: number, extended: boolean): boolean {
    this.#at.fill(ABSENT);
    // Up to 4 bytes may remain: what is too short for an attribute with a payload is not looked at.
    while (end - at > ATTRIBUTE_HEADER_BYTES) {
      const lengthBytes = view.getUint16(at);
      const id = view.getUint16(at + 2);
      if (lengthBytes < ATTRIBUTE_HEADER_BYTES || lengthBytes > end - at || (id >= EXTENDED_FROM && !extended))
        return false;
      if (id >= this.#payloadBytes.length) {
        at += (lengthBytes + 3) & ~3;
        continue;
      }
      const payloadBytes = lengthBytes - ATTRIBUTE_HEADER_BYTES;
      const allowedBytes = this.#payloadBytes[id];
      if (allowedBytes >= 0 ? payloadBytes !== allowedBytes : payloadBytes > -allowedBytes) return false;
      this.#at[id] = at + ATTRIBUTE_HEADER_BYTES;
      this.#bytes[id] = payloadBytes;
      at += (lengthBytes + 3) & ~3;
    }
    return true;
  }

  has(id: number): boolean {
    return this.#at[id] !== ABSENT;
  }

  /** Where the payload of attribute `id` starts. Only for an attribute that is there. */
  payloadAt(id: number): number {
    return this.#at[id];
  }

  payloadBytes(id: number): number {
    return this.#bytes[id];
  }

  /** One-byte payload, or 0 when the attribute is absent. */
  uint8(view: DataView, id: number): number {
    return this.has(id) ? view.getUint8(this.#at[id]) : 0;
  }

  /** Big-endian 32-bit payload, or 0 when the attribute is absent. */
  uint32(view: DataView, id: number): number {
    return this.has(id) ? view.getUint32(this.#at[id]) : 0;
  }
}

/** conntrackd sends these 16 bits least significant byte first: snat_port, dnat_port and icmp_id. */
export const LITTLE_ENDIAN = true;
