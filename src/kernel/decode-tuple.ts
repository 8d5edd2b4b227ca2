/**
 * The tuple inside CTA_TUPLE_ORIG, _REPLY and _MASTER: addresses, protocol with its ports, and sometimes a zone.
 *
 * It fills nine words of a flow: source (4), destination (4), ports. What belongs to the flow as a whole is the answer:
 *
 *   bits 0-7 protocol   8 TUPLE_HAS_PROTOCOL   9 TUPLE_HAS_PORTS   10 TUPLE_HAS_ZONE   11-26 zone
 *
 * or -1 when a length lies: every read is checked against the end of its attribute, and that against the enclosing one.
 * Source: linux/netfilter/nfnetlink_conntrack.h (ctattr_tuple, ctattr_ip, ctattr_l4proto).
 */
import * as cta from "./ctnetlink-attributes.ts";
import { ATTRIBUTE_HEADER_BYTES, attributeEnd, attributeType, nextAttribute } from "./netlink.ts";

export const TUPLE_HAS_PROTOCOL = 1 << 8;
export const TUPLE_HAS_PORTS = 1 << 9;
export const TUPLE_HAS_ZONE = 1 << 10;
export const tupleProtocol = (answer: number): number => answer & 0xff;
export const tupleZone = (answer: number): number => (answer >>> 11) & 0xffff;

/** Offsets from a tuple's first word. */
const DST = 4;
const PORTS = 8;

/** Decodes the tuple whose attributes are [at, end) to nine words from `to`. */
export function decodeTuple(view: DataView, at: number, end: number, words: Uint32Array, to: number): number {
  let answer = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    switch (attributeType(view, at)) {
      case cta.CTA_TUPLE_IP:
        if (decodeAddresses(view, payload, payloadEnd, words, to) < 0) return -1;
        break;
      case cta.CTA_TUPLE_PROTO: {
        const protocol = decodeProtocol(view, payload, payloadEnd, words, to + PORTS);
        if (protocol < 0) return -1;
        answer |= protocol;
        break;
      }
      case cta.CTA_TUPLE_ZONE:
        if (payload + 2 > payloadEnd) return -1;
        answer |= TUPLE_HAS_ZONE | (view.getUint16(payload) << 11);
        break;
    }
    at = nextAttribute(at, payloadEnd);
  }
  return answer;
}

function decodeAddresses(view: DataView, at: number, end: number, words: Uint32Array, to: number): number {
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    const type = attributeType(view, at);
    const word = type === cta.CTA_IP_V4_SRC || type === cta.CTA_IP_V6_SRC ? to : to + DST;
    if (type === cta.CTA_IP_V4_SRC || type === cta.CTA_IP_V4_DST) {
      if (payload + 4 > payloadEnd) return -1;
      words[word] = view.getUint32(payload);
    } else if (type === cta.CTA_IP_V6_SRC || type === cta.CTA_IP_V6_DST) {
      if (payload + 16 > payloadEnd) return -1;
      words[word] = view.getUint32(payload);
      words[word + 1] = view.getUint32(payload + 4);
      words[word + 2] = view.getUint32(payload + 8);
      words[word + 3] = view.getUint32(payload + 12);
    }
    at = nextAttribute(at, payloadEnd);
  }
  return 0;
}

/** Fills the two halves of the ports word: (source, destination) or (ICMP id, type * 256 + code). */
function decodeProtocol(view: DataView, at: number, end: number, words: Uint32Array, word: number): number {
  let high = 0;
  let low = 0;
  let answer = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    const type = attributeType(view, at);
    if (payload + protocolPayloadBytes(type) > payloadEnd) return -1;
    switch (type) {
      case cta.CTA_PROTO_NUM:
        answer |= TUPLE_HAS_PROTOCOL | view.getUint8(payload);
        break;
      case cta.CTA_PROTO_SRC_PORT:
      case cta.CTA_PROTO_ICMP_ID:
      case cta.CTA_PROTO_ICMPV6_ID:
        high = view.getUint16(payload);
        answer |= TUPLE_HAS_PORTS;
        break;
      case cta.CTA_PROTO_DST_PORT:
        low = view.getUint16(payload);
        break;
      case cta.CTA_PROTO_ICMP_TYPE:
      case cta.CTA_PROTO_ICMPV6_TYPE:
        low = (low & 0xff) | (view.getUint8(payload) << 8);
        break;
      case cta.CTA_PROTO_ICMP_CODE:
      case cta.CTA_PROTO_ICMPV6_CODE:
        low = (low & 0xff00) | view.getUint8(payload);
        break;
    }
    at = nextAttribute(at, payloadEnd);
  }
  words[word] = ((high << 16) | low) >>> 0;
  return answer;
}

function protocolPayloadBytes(type: number): number {
  switch (type) {
    case cta.CTA_PROTO_SRC_PORT:
    case cta.CTA_PROTO_DST_PORT:
    case cta.CTA_PROTO_ICMP_ID:
    case cta.CTA_PROTO_ICMPV6_ID:
      return 2;
    case cta.CTA_PROTO_NUM:
    case cta.CTA_PROTO_ICMP_TYPE:
    case cta.CTA_PROTO_ICMP_CODE:
    case cta.CTA_PROTO_ICMPV6_TYPE:
    case cta.CTA_PROTO_ICMPV6_CODE:
      return 1;
    default:
      return 0; // Unknown to us: skipped, so of no length.
  }
}
