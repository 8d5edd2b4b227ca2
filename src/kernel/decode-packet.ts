/**
 * The tuple of an IP packet, as conntrack would make it: words 0 to 9 of a `Flow`, in the direction of the packet.
 *
 *   IPv4   byte 0 version and header length / 4, 6 flags and fragment offset, 9 protocol, 12 source, 16 destination
 *   IPv6   byte 0 version, 6 next header, 8 source, 24 destination, then extension headers
 *
 * The packet may be cut off behind its first 128 bytes. No zone is told: it is 0.
 * Source: RFC 791, RFC 8200, RFC 792, RFC 4443, RFC 2784, RFC 2637.
 */
import {
  hasPorts,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  icmpWord,
  isIcmp,
  KEY_WORDS,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  protoWord,
  ZONE_BOTH,
} from "../flow/flow.ts";
import { icmpReplyType } from "../flow/reply.ts";

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
/** Fragment offset, and that more follow. */
const IS_FRAGMENT = 0x3fff;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const NO_NEXT = 59;
const DESTINATION_OPTIONS = 60;

/** False where there is none to tell: a fragment, a message about another packet, or what is cut off too early. */
export function decodePacket(view: DataView, at: number, end: number, words: Uint32Array): boolean {
  if (at >= end) return false;
  words.fill(0, 0, KEY_WORDS);
  const version = view.getUint8(at) >>> 4;
  if (version === 4) return decodeIpv4(view, at, end, words);
  return version === 6 && decodeIpv6(view, at, end, words);
}

function decodeIpv4(view: DataView, at: number, end: number, words: Uint32Array): boolean {
  if (at + IPV4_BYTES > end) return false;
  const headerBytes = (view.getUint8(at) & 0xf) * 4;
  if (headerBytes < IPV4_BYTES || (view.getUint16(at + 6) & IS_FRAGMENT) !== 0) return false;
  words[ORIG_SRC] = view.getUint32(at + 12);
  words[ORIG_DST] = view.getUint32(at + 16);
  return decodeTransport(view, at + headerBytes, end, 4, view.getUint8(at + 9), words);
}

function decodeIpv6(view: DataView, at: number, end: number, words: Uint32Array): boolean {
  if (at + IPV6_BYTES > end) return false;
  for (let i = 0; i < 4; i++) {
    words[ORIG_SRC + i] = view.getUint32(at + 8 + i * 4);
    words[ORIG_DST + i] = view.getUint32(at + 24 + i * 4);
  }
  let next = view.getUint8(at + 6);
  let header = at + IPV6_BYTES;
  while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS || next === AUTHENTICATION) {
    if (header + 2 > end) return false;
    const length = view.getUint8(header + 1);
    const headerBytes = next === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
    next = view.getUint8(header);
    header += headerBytes;
  }
  if (next === FRAGMENT || next === NO_NEXT) return false;
  return decodeTransport(view, header, end, 6, next, words);
}

function decodeTransport(
  view: DataView,
  at: number,
  end: number,
  family: number,
  l4proto: number,
  words: Uint32Array,
): boolean {
  words[PROTO] = protoWord(family, l4proto, 0, ZONE_BOTH);
  if (at > end) return false;
  if (hasPorts(l4proto)) {
    if (at + 4 > end) return false;
    words[ORIG_PORTS] = view.getUint32(at);
  } else if (isIcmp(l4proto)) {
    if (at + 8 > end || l4proto !== (family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return false;
    const type = view.getUint8(at);
    if (icmpReplyType(l4proto, type) < 0) return false; // It tells of an error, or of neighbours.
    words[ORIG_PORTS] = icmpWord(view.getUint16(at + 4), type, view.getUint8(at + 1));
  } else if (l4proto === IPPROTO_GRE) {
    if (at + 4 > end) return false;
    // PPTP's packets carry one of their two keys alone.
    if ((view.getUint8(at + 1) & 7) !== 0) return false;
  }
  return true;
}
