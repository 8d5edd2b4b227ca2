/**
 * The attributes of a received conntrack message (types 0-2), as a flow: whatever order they come in, each at most once
 * that counts (the last). The reply tuple is not on the wire; NAT attributes go into the words of the reply tuple with
 * their HAS bits, and `deriveReply` fills the rest once an update is merged with what is already known.
 *
 * Stricter than conntrackd, which stores whatever parses: without addresses, protocol and (where the protocol has them)
 * ports a message names no flow, and a helper's name must be a terminated, printable string.
 * Source: conntrackd's synchronisation protocol, version 1, sections 5 and 8.
 */
import {
  type Flow,
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_NAT,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  HELPER,
  hasPorts,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDPLITE,
  icmpWord,
  isIcmp,
  LABELS,
  MARK,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  protoWord,
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
import * as attr from "./attributes.ts";
import { HEADER_BYTES } from "./header.ts";

/**
 * badPayload: an attribute is unknown, its length lies, or the helper's name is no name. incomplete: every attribute is
 * well-formed, but they do not name a flow.
 */
export type Decoded = "ok" | "badPayload" | "incomplete";

const LABEL_WORDS = 4;

const found = new attr.AttributeScan(attr.CONNTRACK_PAYLOAD_BYTES);

/**
 * Fills `flow` from the message of `lengthBytes` at `at` (header included). Unless "ok" comes back, `flow` means nothing.
 * `extended`: a ctsync node sent it on a sealed channel, and may say more than conntrackd can.
 */
export function decodeFlow(view: DataView, at: number, lengthBytes: number, flow: Flow, extended = false): Decoded {
  flow.clear();
  if (!found.scan(view, at + HEADER_BYTES, at + lengthBytes, extended)) return "badPayload";
  const family = familyFound();
  if (family === 0 || !found.has(attr.ATTR_L4PROTO)) return "incomplete";
  const words = flow.words;
  const l4proto = found.uint8(view, attr.ATTR_L4PROTO);
  words[PROTO] = withZone(view, family, l4proto);
  readAddressPair(view, family === 6 ? attr.ATTR_ORIG_IPV6 : attr.ATTR_ORIG_IPV4, words, ORIG_SRC, ORIG_DST);
  if (!readPorts(view, words, l4proto)) return "incomplete";
  readWord(view, attr.ATTR_STATUS, words, STATUS, HAS_STATUS);
  readWord(view, attr.ATTR_TIMEOUT, words, TIMEOUT, HAS_TIMEOUT);
  readWord(view, attr.ATTR_MARK, words, MARK, HAS_MARK);
  readState(view, words, l4proto);
  readMaster(view, words, family);
  readNat(view, words, l4proto);
  readWords(view, attr.ATTR_NAT_SEQ_ADJ, words, SEQADJ, 6, HAS_SEQADJ);
  readWords(view, attr.ATTR_SYNPROXY, words, SYNPROXY, 3, HAS_SYNPROXY);
  readLabels(view, words);
  readReply(view, words, family);
  return readHelper(view, words) ? "ok" : "badPayload";
}

function withZone(view: DataView, family: 4 | 6, l4proto: number): number {
  const zoneIn = (id: number): number => view.getUint16(found.payloadAt(id));
  if (found.has(attr.ATTR_EXT_ZONE_ORIG))
    return protoWord(family, l4proto, zoneIn(attr.ATTR_EXT_ZONE_ORIG), ZONE_ORIG_ONLY);
  if (found.has(attr.ATTR_EXT_ZONE_REPLY))
    return protoWord(family, l4proto, zoneIn(attr.ATTR_EXT_ZONE_REPLY), ZONE_REPLY_ONLY);
  return protoWord(family, l4proto, found.has(attr.ATTR_ZONE) ? zoneIn(attr.ATTR_ZONE) : 0, ZONE_BOTH);
}

/** A whole reply tuple takes the place of what NAT attributes said of it. */
function readReply(view: DataView, words: Uint32Array, family: 4 | 6): void {
  const id = family === 6 ? attr.ATTR_EXT_REPLY_IPV6 : attr.ATTR_EXT_REPLY_IPV4;
  if (!found.has(id)) return;
  const count = family === 6 ? 4 : 1;
  const at = found.payloadAt(id);
  for (let i = 0; i < count; i++) {
    words[REPLY_SRC + i] = view.getUint32(at + i * 4);
    words[REPLY_DST + i] = view.getUint32(at + (count + i) * 4);
  }
  words[REPLY_PORTS] = view.getUint32(at + count * 8);
  words[HAS] = (words[HAS] & ~HAS_NAT) | HAS_REPLY;
}

/** 4 or 6; 0 when there is no address, or attributes of both families, which cannot belong to one flow. */
function familyFound(): 0 | 4 | 6 {
  const ipv4 =
    found.has(attr.ATTR_ORIG_IPV4) ||
    found.has(attr.ATTR_MASTER_IPV4) ||
    found.has(attr.ATTR_SNAT_IPV4) ||
    found.has(attr.ATTR_DNAT_IPV4);
  const ipv6 =
    found.has(attr.ATTR_ORIG_IPV6) ||
    found.has(attr.ATTR_MASTER_IPV6) ||
    found.has(attr.ATTR_SNAT_IPV6) ||
    found.has(attr.ATTR_DNAT_IPV6);
  if (ipv4 === ipv6) return 0;
  if (ipv6) return found.has(attr.ATTR_ORIG_IPV6) ? 6 : 0;
  return found.has(attr.ATTR_ORIG_IPV4) ? 4 : 0;
}

/** False when ports, or ICMP's type, code and id, are missing. UDP-Lite is excused: conntrackd never sends its ports. */
function readPorts(view: DataView, words: Uint32Array, l4proto: number): boolean {
  if (isIcmp(l4proto)) {
    if (!found.has(attr.ATTR_ICMP_TYPE) || !found.has(attr.ATTR_ICMP_CODE) || !found.has(attr.ATTR_ICMP_ID))
      return false;
    const id = view.getUint16(found.payloadAt(attr.ATTR_ICMP_ID), attr.LITTLE_ENDIAN);
    words[ORIG_PORTS] = icmpWord(id, found.uint8(view, attr.ATTR_ICMP_TYPE), found.uint8(view, attr.ATTR_ICMP_CODE));
    words[HAS] |= HAS_PORTS;
    return true;
  }
  if (l4proto === IPPROTO_GRE || l4proto === IPPROTO_UDPLITE) {
    readWord(view, attr.ATTR_EXT_PORTS, words, ORIG_PORTS, HAS_PORTS);
    if (found.has(attr.ATTR_EXT_PORTS)) return true;
  }
  if (!hasPorts(l4proto)) return true;
  readWord(view, attr.ATTR_ORIG_PORTS, words, ORIG_PORTS, HAS_PORTS);
  return found.has(attr.ATTR_ORIG_PORTS) || l4proto === IPPROTO_UDPLITE;
}

/** State attributes of another protocol than the flow's say nothing about it. */
function readState(view: DataView, words: Uint32Array, l4proto: number): void {
  if (l4proto === IPPROTO_TCP) {
    readStateByte(view, words, attr.ATTR_TCP_STATE);
    if (!found.has(attr.ATTR_TCP_WSCALE_ORIG) && !found.has(attr.ATTR_TCP_WSCALE_REPLY)) return;
    words[INFO] |= found.uint8(view, attr.ATTR_TCP_WSCALE_ORIG) << 8;
    words[INFO] |= found.uint8(view, attr.ATTR_TCP_WSCALE_REPLY) << 16;
    words[HAS] |= HAS_WSCALE;
  } else if (l4proto === IPPROTO_SCTP) {
    readStateByte(view, words, attr.ATTR_SCTP_STATE);
    readWord(view, attr.ATTR_SCTP_VTAG_ORIG, words, VTAG_ORIG, HAS_VTAGS);
    readWord(view, attr.ATTR_SCTP_VTAG_REPLY, words, VTAG_REPLY, HAS_VTAGS);
  } else if (l4proto === IPPROTO_DCCP) {
    readStateByte(view, words, attr.ATTR_DCCP_STATE);
    words[INFO] |= found.uint8(view, attr.ATTR_DCCP_ROLE) << 8;
  }
}

function readStateByte(view: DataView, words: Uint32Array, id: number): void {
  if (!found.has(id)) return;
  words[INFO] = found.uint8(view, id);
  words[HAS] |= HAS_STATE;
}

/** A master without addresses or protocol cannot be found in the kernel: it counts as none. */
function readMaster(view: DataView, words: Uint32Array, family: 4 | 6): void {
  const id = family === 6 ? attr.ATTR_MASTER_IPV6 : attr.ATTR_MASTER_IPV4;
  if (!found.has(id) || !found.has(attr.ATTR_MASTER_L4PROTO)) return;
  words[HAS] |= HAS_MASTER;
  words[MASTER_PROTO] = protoWord(family, found.uint8(view, attr.ATTR_MASTER_L4PROTO), 0, ZONE_BOTH);
  readAddressPair(view, id, words, MASTER_SRC, MASTER_DST);
  readWord(view, attr.ATTR_MASTER_PORTS, words, MASTER_PORTS, HAS_MASTER_PORTS);
}

/** NAT ports mean something only where there are ports: for ICMP they are an accident of conntrackd's comparison. */
function readNat(view: DataView, words: Uint32Array, l4proto: number): void {
  readWord(view, attr.ATTR_SNAT_IPV4, words, REPLY_DST, HAS_SNAT_ADDR);
  readWord(view, attr.ATTR_DNAT_IPV4, words, REPLY_SRC, HAS_DNAT_ADDR);
  readWords(view, attr.ATTR_SNAT_IPV6, words, REPLY_DST, 4, HAS_SNAT_ADDR);
  readWords(view, attr.ATTR_DNAT_IPV6, words, REPLY_SRC, 4, HAS_DNAT_ADDR);
  if (isIcmp(l4proto) || (words[HAS] & HAS_PORTS) === 0) return;
  if (found.has(attr.ATTR_DNAT_PORT)) {
    words[REPLY_PORTS] |= view.getUint16(found.payloadAt(attr.ATTR_DNAT_PORT), attr.LITTLE_ENDIAN) << 16;
    words[HAS] |= HAS_DNAT_PORT;
  }
  if (found.has(attr.ATTR_SNAT_PORT)) {
    words[REPLY_PORTS] |= view.getUint16(found.payloadAt(attr.ATTR_SNAT_PORT), attr.LITTLE_ENDIAN);
    words[HAS] |= HAS_SNAT_PORT;
  }
}

/** Linux has 128 labels: more words than that are left out, a payload that is not made of words says nothing. */
function readLabels(view: DataView, words: Uint32Array): void {
  if (found.has(attr.ATTR_EXT_NO_LABELS)) words[HAS] |= HAS_LABELS;
  if (!found.has(attr.ATTR_LABELS)) return;
  const payloadBytes = found.payloadBytes(attr.ATTR_LABELS);
  if (payloadBytes === 0 || payloadBytes % 4 !== 0) return;
  readWords(view, attr.ATTR_LABELS, words, LABELS, Math.min(payloadBytes / 4, LABEL_WORDS), HAS_LABELS);
}

/** False for a name that is empty, not terminated, or not printable: it is written into logs and dumps, line by line. */
function readHelper(view: DataView, words: Uint32Array): boolean {
  const id = found.has(attr.ATTR_EXT_HELPER) ? attr.ATTR_EXT_HELPER : attr.ATTR_HELPER;
  if (!found.has(id)) return true;
  const at = found.payloadAt(id);
  const payloadBytes = found.payloadBytes(id);
  for (let i = 0; i < payloadBytes; i++) {
    const byte = view.getUint8(at + i);
    if (byte === 0) {
      words[HAS] |= HAS_HELPER;
      return i > 0;
    }
    if (byte <= 0x20 || byte >= 0x7f) return false;
    words[HELPER + (i >> 2)] |= byte << (24 - (i & 3) * 8);
  }
  return false;
}

function readWord(view: DataView, id: number, words: Uint32Array, word: number, has: number): void {
  if (!found.has(id)) return;
  words[word] = found.uint32(view, id);
  words[HAS] |= has;
}

function readWords(view: DataView, id: number, words: Uint32Array, from: number, count: number, has: number): void {
  if (!found.has(id)) return;
  const at = found.payloadAt(id);
  for (let i = 0; i < count; i++) words[from + i] = view.getUint32(at + i * 4);
  words[HAS] |= has;
}

function readAddressPair(view: DataView, id: number, words: Uint32Array, source: number, destination: number): void {
  const at = found.payloadAt(id);
  const count = found.payloadBytes(id) / 8;
  for (let i = 0; i < count; i++) {
    words[source + i] = view.getUint32(at + i * 4);
    words[destination + i] = view.getUint32(at + (count + i) * 4);
  }
}
