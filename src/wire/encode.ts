/**
 * A flow of this kernel as the attributes of a conntrack message (types 0-2), byte for byte as conntrackd 1.4.7 to 1.4.9
 * build it: same attributes, same order, padding zero.
 *
 * The reply tuple is not sent; where it differs from the mirrored original one, the kernel translated addresses or ports,
 * and NAT attributes say so. Not sent either, because the format has no place for them: GRE keys, UDP-Lite ports, zones of
 * one direction, helper names over 11 characters; an extended peer is sent those in attributes of our own, behind all the
 * others. What is absent from HAS is left out: a daemon whose config sets a commit timeout clears HAS_TIMEOUT before it
 * encodes.
 * Source: conntrackd's synchronisation protocol, version 1, sections 5.1 to 5.5.
 */
import {
  type Flow,
  familyOf,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_PORTS,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_WSCALE,
  HELPER,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  isIcmp,
  LABELS,
  l4protoOf,
  MARK,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
  ZONE_BOTH,
  ZONE_ORIG_ONLY,
  ZONE_REPLY_ONLY,
} from "../flow/flow.ts";
import { icmpReply } from "../flow/reply.ts";
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "../flow/status.ts";
import * as attr from "./attributes.ts";
import { HEADER_BYTES } from "./header.ts";
import {
  putAddressPair,
  putAttributeHeader,
  putUint8,
  putUint16,
  putUint16Swapped,
  putUint32,
  putWords,
} from "./put.ts";

/** The longest message `encodeFlow` writes: a related IPv6 TCP flow, translated both ways, with everything known of it. */
export const MESSAGE_MAX_BYTES = 304;
/** The same for an extended peer: a related ICMPv6 flow, translated both ways to another id, its helper's name a long one. */
export const EXTENDED_MESSAGE_MAX_BYTES = 340;
/** The attribute takes 16 bytes at most: its header, the name, the terminating zero. */
const WIRE_HELPER_MAX_CHARACTERS = 11;

/** The flow has a helper whose name the wire cannot carry: `encodeFlow` leaves it out, and its expectations stay behind. */
export const helperTooLong = (flow: Flow): boolean =>
  flow.has(HAS_HELPER) && nameBytes(flow.words) > WIRE_HELPER_MAX_CHARACTERS;

/**
 * Writes the attributes of `flow` from `at + 8` on and returns the message's whole length in bytes, a multiple of 4; the
 * 8 bytes at `at` are left to `putHeader`. `view` has MESSAGE_MAX_BYTES (EXTENDED_…) from `at` on. `windowTracking`: send TCP window scales,
 * as conntrackd does when so configured, known or not. `extended`: the peer is a ctsync node on a sealed channel, and is sent
 * all that is known.
 */
export function encodeFlow(flow: Flow, view: DataView, at: number, windowTracking: boolean, extended = false): number {
  const words = flow.words;
  const l4proto = flow.l4proto;
  let end = putAddressPair(view, at + HEADER_BYTES, attr.ATTR_ORIG_IPV4, flow.family, words, ORIG_SRC, ORIG_DST);
  end = putUint32(view, end, attr.ATTR_STATUS, words[STATUS]);
  end = putUint8(view, end, attr.ATTR_L4PROTO, l4proto);
  end = putProtocol(flow, view, end, windowTracking || (extended && flow.has(HAS_WSCALE)));
  if (flow.has(HAS_TIMEOUT)) end = putUint32(view, end, attr.ATTR_TIMEOUT, words[TIMEOUT]);
  if (flow.has(HAS_MARK)) end = putUint32(view, end, attr.ATTR_MARK, words[MARK]);
  if (flow.has(HAS_MASTER)) end = putMaster(flow, view, end);
  end = putNatAddresses(flow, view, end);
  end = putNatPorts(flow, view, end);
  if (flow.has(HAS_SEQADJ)) end = putWords(view, end, attr.ATTR_NAT_SEQ_ADJ, words, SEQADJ, 6);
  if (flow.has(HAS_HELPER)) end = putHelper(view, end, words);
  if (flow.has(HAS_LABELS) && anyLabel(words)) end = putWords(view, end, attr.ATTR_LABELS, words, LABELS, 4);
  if (flow.has(HAS_SYNPROXY)) end = putWords(view, end, attr.ATTR_SYNPROXY, words, SYNPROXY, 3);
  if (flow.zone !== 0 && flow.zoneDirection === ZONE_BOTH) end = putUint16(view, end, attr.ATTR_ZONE, flow.zone);
  if (extended) end = putExtended(flow, view, end);
  return end - at;
}

function putExtended(flow: Flow, view: DataView, at: number): number {
  const words = flow.words;
  const l4proto = flow.l4proto;
  if (flow.has(HAS_PORTS) && (l4proto === IPPROTO_GRE || l4proto === IPPROTO_UDPLITE))
    at = putUint32(view, at, attr.ATTR_EXT_PORTS, words[ORIG_PORTS]);
  if (!replyFollows(flow)) at = putReply(flow, view, at);
  if (flow.zoneDirection === ZONE_ORIG_ONLY) at = putUint16(view, at, attr.ATTR_EXT_ZONE_ORIG, flow.zone);
  if (flow.zoneDirection === ZONE_REPLY_ONLY) at = putUint16(view, at, attr.ATTR_EXT_ZONE_REPLY, flow.zone);
  if (helperTooLong(flow)) at = putWords(view, at, attr.ATTR_EXT_HELPER, words, HELPER, 4);
  if (flow.has(HAS_LABELS) && !anyLabel(words)) at = putUint8(view, at, attr.ATTR_EXT_NO_LABELS, 0);
  return at;
}

/** Whether the receiver makes the flow's reply tuple of the original one and of the NAT attributes that it was sent. */
function replyFollows(flow: Flow): boolean {
  const words = flow.words;
  const source = (words[STATUS] & IPS_SRC_NAT_DONE) !== 0;
  const destination = (words[STATUS] & IPS_DST_NAT_DONE) !== 0;
  if (!source && !sameAddress(words, REPLY_DST, ORIG_SRC)) return false;
  if (!destination && !sameAddress(words, REPLY_SRC, ORIG_DST)) return false;
  const orig = words[ORIG_PORTS];
  const reply = words[REPLY_PORTS];
  if (isIcmp(flow.l4proto)) return reply === icmpReply(flow.l4proto, orig);
  if (!flow.has(HAS_PORTS)) return reply === 0;
  return (source || (reply & 0xffff) === orig >>> 16) && (destination || reply >>> 16 === (orig & 0xffff));
}

function putReply(flow: Flow, view: DataView, at: number): number {
  const count = flow.family === 6 ? 4 : 1;
  const id = flow.family === 6 ? attr.ATTR_EXT_REPLY_IPV6 : attr.ATTR_EXT_REPLY_IPV4;
  const words = flow.words;
  putAttributeHeader(view, at, id, count * 8 + 4);
  at += 4;
  for (let i = 0; i < count; i++, at += 4) view.setUint32(at, words[REPLY_SRC + i]);
  for (let i = 0; i < count; i++, at += 4) view.setUint32(at, words[REPLY_DST + i]);
  view.setUint32(at, words[REPLY_PORTS]);
  return at + 4;
}

function putProtocol(flow: Flow, view: DataView, at: number, windowTracking: boolean): number {
  const words = flow.words;
  const ports = words[ORIG_PORTS];
  const known = flow.has(HAS_STATE);
  switch (flow.l4proto) {
    case IPPROTO_TCP:
      at = putUint32(view, at, attr.ATTR_ORIG_PORTS, ports);
      if (!known) return at;
      at = putUint8(view, at, attr.ATTR_TCP_STATE, flow.state);
      if (!windowTracking) return at;
      at = putUint8(view, at, attr.ATTR_TCP_WSCALE_ORIG, (words[INFO] >>> 8) & 0xff);
      return putUint8(view, at, attr.ATTR_TCP_WSCALE_REPLY, (words[INFO] >>> 16) & 0xff);
    case IPPROTO_UDP:
      return putUint32(view, at, attr.ATTR_ORIG_PORTS, ports);
    case IPPROTO_SCTP:
      at = putUint32(view, at, attr.ATTR_ORIG_PORTS, ports);
      if (!known) return at;
      at = putUint8(view, at, attr.ATTR_SCTP_STATE, flow.state);
      at = putUint32(view, at, attr.ATTR_SCTP_VTAG_ORIG, words[VTAG_ORIG]);
      return putUint32(view, at, attr.ATTR_SCTP_VTAG_REPLY, words[VTAG_REPLY]);
    case IPPROTO_DCCP:
      at = putUint32(view, at, attr.ATTR_ORIG_PORTS, ports);
      if (!known) return at;
      at = putUint8(view, at, attr.ATTR_DCCP_STATE, flow.state);
      return putUint8(view, at, attr.ATTR_DCCP_ROLE, (words[INFO] >>> 8) & 0xff);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      at = putUint8(view, at, attr.ATTR_ICMP_TYPE, (ports >>> 8) & 0xff);
      at = putUint8(view, at, attr.ATTR_ICMP_CODE, ports & 0xff);
      return putUint16Swapped(view, at, attr.ATTR_ICMP_ID, ports >>> 16);
    default:
      return at;
  }
}

function putMaster(flow: Flow, view: DataView, at: number): number {
  const words = flow.words;
  const proto = words[MASTER_PROTO];
  at = putAddressPair(view, at, attr.ATTR_MASTER_IPV4, familyOf(proto), words, MASTER_SRC, MASTER_DST);
  at = putUint8(view, at, attr.ATTR_MASTER_L4PROTO, l4protoOf(proto));
  return flow.has(HAS_MASTER_PORTS) ? putUint32(view, at, attr.ATTR_MASTER_PORTS, words[MASTER_PORTS]) : at;
}

/** Source NAT shows in the reply's destination, destination NAT in its source. */
function putNatAddresses(flow: Flow, view: DataView, at: number): number {
  const words = flow.words;
  const ipv6 = flow.family === 6;
  if ((words[STATUS] & IPS_SRC_NAT_DONE) !== 0 && !sameAddress(words, REPLY_DST, ORIG_SRC)) {
    at = ipv6
      ? putWords(view, at, attr.ATTR_SNAT_IPV6, words, REPLY_DST, 4)
      : putUint32(view, at, attr.ATTR_SNAT_IPV4, words[REPLY_DST]);
  }
  if ((words[STATUS] & IPS_DST_NAT_DONE) !== 0 && !sameAddress(words, REPLY_SRC, ORIG_DST)) {
    at = ipv6
      ? putWords(view, at, attr.ATTR_DNAT_IPV6, words, REPLY_SRC, 4)
      : putUint32(view, at, attr.ATTR_DNAT_IPV4, words[REPLY_SRC]);
  }
  return at;
}

/**
 * Compares the raw halves whatever they mean: of ICMP an id with a type and code, which differ nearly always. So both
 * attributes go out for ICMP once it passed a NAT table, with value 0, as it has no ports.
 */
function putNatPorts(flow: Flow, view: DataView, at: number): number {
  const words = flow.words;
  const orig = words[ORIG_PORTS];
  const reply = words[REPLY_PORTS];
  const icmp = isIcmp(flow.l4proto);
  if ((words[STATUS] & IPS_SRC_NAT_DONE) !== 0 && (reply & 0xffff) !== orig >>> 16) {
    at = putUint16Swapped(view, at, attr.ATTR_SNAT_PORT, icmp ? 0 : reply & 0xffff);
  }
  if ((words[STATUS] & IPS_DST_NAT_DONE) !== 0 && reply >>> 16 !== (orig & 0xffff)) {
    at = putUint16Swapped(view, at, attr.ATTR_DNAT_PORT, icmp ? 0 : reply >>> 16);
  }
  return at;
}

function putHelper(view: DataView, at: number, words: Uint32Array): number {
  const length = nameBytes(words);
  if (length > WIRE_HELPER_MAX_CHARACTERS) return at;
  putAttributeHeader(view, at, attr.ATTR_HELPER, length + 1);
  // The words behind the name are zero: terminating zero and padding come with them.
  const wordCount = (length >> 2) + 1;
  for (let i = 0; i < wordCount; i++) view.setUint32(at + 4 + i * 4, words[HELPER + i]);
  return at + 4 + wordCount * 4;
}

function nameBytes(words: Uint32Array): number {
  let length = 0;
  while (length < 16 && ((words[HELPER + (length >> 2)] >>> (24 - (length & 3) * 8)) & 0xff) !== 0) length++;
  return length;
}

const anyLabel = (words: Uint32Array): boolean =>
  (words[LABELS] | words[LABELS + 1] | words[LABELS + 2] | words[LABELS + 3]) !== 0;

const sameAddress = (words: Uint32Array, a: number, b: number): boolean =>
  words[a] === words[b] &&
  words[a + 1] === words[b + 1] &&
  words[a + 2] === words[b + 2] &&
  words[a + 3] === words[b + 3];
