/**
 * Decodes one ctnetlink message, an event or a dumped entry, straight into a `Flow`'s words.
 *
 * This is the hot loop's decoder: it allocates nothing, reads nothing outside the message, and never throws for what
 * the bytes say. A length that lies, or a tuple that is missing, is answered with a refusal; the words then hold garbage.
 * Attributes it does not know are skipped. Held equal to the library's `nfct_nlmsg_parse` by kernel-decode.test.ts.
 *
 * The caller guarantees `at + CTNETLINK_HEADER_BYTES <= end`, where `end` is the end of this very message.
 * Source: linux/netfilter/nfnetlink_conntrack.h; layout in netlink.ts and ctnetlink-attributes.ts.
 */
import * as f from "../flow/flow.ts";
import * as cta from "./ctnetlink-attributes.ts";
import { decodeHelper, decodeProtocolInfo, decodeSeqadj, decodeSynproxy } from "./decode-extensions.ts";
import {
  decodeTuple,
  TUPLE_HAS_PORTS,
  TUPLE_HAS_PROTOCOL,
  TUPLE_HAS_ZONE,
  tupleProtocol,
  tupleZone,
} from "./decode-tuple.ts";
import { AF_INET, AF_INET6, ATTRIBUTE_HEADER_BYTES, attributeEnd, attributeType, nextAttribute } from "./netlink.ts";

export const DECODED = 0;
/** A length reaches past its message or its enclosing attribute, or is too short for its value. */
export const REFUSED_LENGTH = 1;
/** Neither IPv4 nor IPv6. */
export const REFUSED_FAMILY = 2;
/** No original or no reply tuple, or one without its protocol. */
export const REFUSED_TUPLE = 3;
export type Decoded = typeof DECODED | typeof REFUSED_LENGTH | typeof REFUSED_FAMILY | typeof REFUSED_TUPLE;

/** Beside the HAS bits while decoding: one direction's sequence adjustment alone says nothing a peer can use. */
const SEQADJ_ORIG = 1 << 28;
const SEQADJ_REPLY = 1 << 29;
const SEQADJ_BOTH = SEQADJ_ORIG | SEQADJ_REPLY;

export function decodeConntrack(view: DataView, at: number, end: number, words: Uint32Array): Decoded {
  const addressFamily = view.getUint8(at + cta.FAMILY_AT);
  if (addressFamily !== AF_INET && addressFamily !== AF_INET6) return REFUSED_FAMILY;
  const family = addressFamily === AF_INET6 ? 6 : 4;
  words.fill(0);
  let has = f.HAS_REPLY;
  let orig = 0;
  let reply = 0;
  let zone = 0;
  at += cta.CTNETLINK_HEADER_BYTES;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return REFUSED_LENGTH;
    const type = attributeType(view, at);
    switch (type) {
      case cta.CTA_TUPLE_ORIG:
        orig = decodeTuple(view, payload, payloadEnd, words, f.ORIG_SRC);
        if (orig < 0) return REFUSED_LENGTH;
        break;
      case cta.CTA_TUPLE_REPLY:
        reply = decodeTuple(view, payload, payloadEnd, words, f.REPLY_SRC);
        if (reply < 0) return REFUSED_LENGTH;
        break;
      case cta.CTA_ZONE:
        if (payload + 2 > payloadEnd) return REFUSED_LENGTH;
        zone = view.getUint16(payload);
        break;
      default: {
        const found = decodeProperty(view, type, payload, payloadEnd, words, family);
        if (found < 0) return REFUSED_LENGTH;
        has |= found;
      }
    }
    at = nextAttribute(at, payloadEnd);
  }
  if ((orig & reply & TUPLE_HAS_PROTOCOL) === 0) return REFUSED_TUPLE;
  if ((has & SEQADJ_BOTH) === SEQADJ_BOTH) has |= f.HAS_SEQADJ;
  else if ((has & SEQADJ_BOTH) !== 0) words.fill(0, f.SEQADJ, f.SEQADJ + 6);
  if ((orig & TUPLE_HAS_PORTS) !== 0) has |= f.HAS_PORTS;
  words[f.HAS] = has & ~SEQADJ_BOTH;
  words[f.PROTO] = withZone(family, orig, reply, zone);
  return DECODED;
}

/** Any attribute but tuples and zone: the HAS bits of what it brought, 0 for one we do not know, -1 when a length lies. */
function decodeProperty(
  view: DataView,
  type: number,
  at: number,
  end: number,
  words: Uint32Array,
  family: number,
): number {
  switch (type) {
    case cta.CTA_STATUS:
      return readWord(view, at, end, words, f.STATUS, f.HAS_STATUS);
    case cta.CTA_TIMEOUT:
      return readWord(view, at, end, words, f.TIMEOUT, f.HAS_TIMEOUT);
    case cta.CTA_MARK:
      return readWord(view, at, end, words, f.MARK, f.HAS_MARK);
    case cta.CTA_PROTOINFO:
      return decodeProtocolInfo(view, at, end, words);
    case cta.CTA_TUPLE_MASTER:
      return decodeMaster(view, at, end, words, family);
    case cta.CTA_LABELS:
      return readLabels(view, at, end, words);
    case cta.CTA_HELP:
      return decodeHelper(view, at, end, words);
    case cta.CTA_SEQ_ADJ_ORIG:
      return decodeSeqadj(view, at, end, words, f.SEQADJ) < 0 ? -1 : SEQADJ_ORIG;
    case cta.CTA_SEQ_ADJ_REPLY:
      return decodeSeqadj(view, at, end, words, f.SEQADJ + 3) < 0 ? -1 : SEQADJ_REPLY;
    case cta.CTA_SYNPROXY:
      return decodeSynproxy(view, at, end, words) < 0 ? -1 : f.HAS_SYNPROXY;
    default:
      return 0;
  }
}

/** A zone for both directions stands beside the tuples, a zone for one direction within its tuple. */
function withZone(family: number, orig: number, reply: number, zone: number): number {
  const l4proto = tupleProtocol(orig);
  if ((orig & TUPLE_HAS_ZONE) !== 0) return f.protoWord(family, l4proto, tupleZone(orig), f.ZONE_ORIG_ONLY);
  if ((reply & TUPLE_HAS_ZONE) !== 0) return f.protoWord(family, l4proto, tupleZone(reply), f.ZONE_REPLY_ONLY);
  return f.protoWord(family, l4proto, zone, f.ZONE_BOTH);
}

function decodeMaster(view: DataView, at: number, end: number, words: Uint32Array, family: number): number {
  const master = decodeTuple(view, at, end, words, f.MASTER_SRC);
  if (master < 0) return -1;
  words[f.MASTER_PROTO] = f.protoWord(family, tupleProtocol(master), 0, f.ZONE_BOTH);
  return (master & TUPLE_HAS_PORTS) !== 0 ? f.HAS_MASTER | f.HAS_MASTER_PORTS : f.HAS_MASTER;
}

function readWord(view: DataView, at: number, end: number, words: Uint32Array, word: number, has: number): number {
  if (at + 4 > end) return -1;
  words[word] = view.getUint32(at);
  return has;
}

/** The kernel's bit set as it lies in memory: label n is bit n % 8 of byte n / 8, on little-endian machines. */
function readLabels(view: DataView, at: number, end: number, words: Uint32Array): number {
  if (at + cta.LABELS_BYTES > end) return -1;
  for (let i = 0; i < 4; i++) words[f.LABELS + i] = view.getUint32(at + i * 4, true);
  return f.HAS_LABELS;
}
