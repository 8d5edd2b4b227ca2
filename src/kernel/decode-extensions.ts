/**
 * What an entry may carry beside its tuples: the protocol's state, a helper, sequence adjustment, SYN proxy.
 *
 * Each function decodes the nested attributes [at, end) and answers the HAS bits of what it found (0 for none), or -1
 * when a length lies. Values are big-endian; offsets of sequence numbers are signed.
 * Source: linux/netfilter/nfnetlink_conntrack.h (ctattr_protoinfo…, ctattr_help, ctattr_seqadj, ctattr_synproxy).
 */
import * as f from "../flow/flow.ts";
import * as cta from "./ctnetlink-attributes.ts";
import { ATTRIBUTE_HEADER_BYTES, attributeEnd, attributeType, nextAttribute } from "./netlink.ts";

/** CTA_PROTOINFO: one nested attribute, named for the protocol. */
export function decodeProtocolInfo(view: DataView, at: number, end: number, words: Uint32Array): number {
  let has = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    let answer = 0;
    switch (attributeType(view, at)) {
      case cta.CTA_PROTOINFO_TCP:
        answer = decodeTcp(view, payload, payloadEnd, words);
        break;
      case cta.CTA_PROTOINFO_SCTP:
        answer = decodeSctp(view, payload, payloadEnd, words);
        break;
      case cta.CTA_PROTOINFO_DCCP:
        answer = decodeDccp(view, payload, payloadEnd, words);
        break;
    }
    if (answer < 0) return -1;
    has |= answer;
    at = nextAttribute(at, payloadEnd);
  }
  return has;
}

/** Window scales, and directions that are not checked, count only as a pair; an event about a dead flow has neither. */
function decodeTcp(view: DataView, at: number, end: number, words: Uint32Array): number {
  let has = 0;
  let info = 0;
  let scales = 0;
  let liberal = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd <= at + ATTRIBUTE_HEADER_BYTES) return -1;
    const value = view.getUint8(at + ATTRIBUTE_HEADER_BYTES);
    switch (attributeType(view, at)) {
      case cta.CTA_PROTOINFO_STATE:
        info |= value;
        has = f.HAS_STATE;
        break;
      case cta.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
        info |= value << 8;
        scales |= 1;
        break;
      case cta.CTA_PROTOINFO_TCP_WSCALE_REPLY:
        info |= value << 16;
        scales |= 2;
        break;
      case cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
        liberal = (value & cta.IP_CT_TCP_FLAG_BE_LIBERAL) !== 0 ? liberal | 1 : liberal & ~1;
        break;
      case cta.CTA_PROTOINFO_TCP_FLAGS_REPLY:
        liberal = (value & cta.IP_CT_TCP_FLAG_BE_LIBERAL) !== 0 ? liberal | 2 : liberal & ~2;
        break;
    }
    at = nextAttribute(at, payloadEnd);
  }
  if (liberal === 3) has |= f.HAS_LIBERAL;
  words[f.INFO] = scales === 3 ? info : info & 0xff;
  return scales === 3 ? has | f.HAS_WSCALE : has;
}

function decodeSctp(view: DataView, at: number, end: number, words: Uint32Array): number {
  let has = 0;
  let tags = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd <= payload) return -1;
    switch (attributeType(view, at)) {
      case cta.CTA_PROTOINFO_STATE:
        words[f.INFO] = view.getUint8(payload);
        has = f.HAS_STATE;
        break;
      case cta.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL:
        if (payload + 4 > payloadEnd) return -1;
        words[f.VTAG_ORIG] = view.getUint32(payload);
        tags |= 1;
        break;
      case cta.CTA_PROTOINFO_SCTP_VTAG_REPLY:
        if (payload + 4 > payloadEnd) return -1;
        words[f.VTAG_REPLY] = view.getUint32(payload);
        tags |= 2;
        break;
    }
    at = nextAttribute(at, payloadEnd);
  }
  if (tags === 3) return has | f.HAS_VTAGS;
  words[f.VTAG_ORIG] = 0;
  words[f.VTAG_REPLY] = 0;
  return has;
}

function decodeDccp(view: DataView, at: number, end: number, words: Uint32Array): number {
  let has = 0;
  let info = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd <= at + ATTRIBUTE_HEADER_BYTES) return -1;
    const value = view.getUint8(at + ATTRIBUTE_HEADER_BYTES);
    const type = attributeType(view, at);
    if (type === cta.CTA_PROTOINFO_STATE) {
      info |= value;
      has = f.HAS_STATE;
    } else if (type === cta.CTA_PROTOINFO_DCCP_ROLE) {
      info |= value << 8;
    }
    at = nextAttribute(at, payloadEnd);
  }
  words[f.INFO] = info;
  return has;
}

/** The name ends at a zero byte or with its attribute; the kernel allows 15 characters. An empty name is none. */
export function decodeHelper(view: DataView, at: number, end: number, words: Uint32Array): number {
  let has = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    if (attributeType(view, at) === cta.CTA_HELP_NAME) {
      words.fill(0, f.HELPER, f.HELPER + 4);
      const lengthBytes = Math.min(payloadEnd - payload, 15);
      let i = 0;
      for (; i < lengthBytes; i++) {
        const byte = view.getUint8(payload + i);
        if (byte === 0) break;
        words[f.HELPER + (i >> 2)] |= byte << (24 - (i & 3) * 8);
      }
      has = i > 0 ? f.HAS_HELPER : 0;
    }
    at = nextAttribute(at, payloadEnd);
  }
  return has;
}

/** One direction: position, offset before and after it, to three words from `to`. */
export function decodeSeqadj(view: DataView, at: number, end: number, words: Uint32Array, to: number): number {
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    const type = attributeType(view, at);
    if (type >= cta.CTA_SEQADJ_CORRECTION_POS && type <= cta.CTA_SEQADJ_OFFSET_AFTER) {
      if (payload + 4 > payloadEnd) return -1;
      words[to + type - cta.CTA_SEQADJ_CORRECTION_POS] = view.getUint32(payload);
    }
    at = nextAttribute(at, payloadEnd);
  }
  return 0;
}

/** The flow holds its, isn, tsoff, as the sync protocol does; the kernel numbers them isn, its, tsoff. */
export function decodeSynproxy(view: DataView, at: number, end: number, words: Uint32Array): number {
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return -1;
    const type = attributeType(view, at);
    if (type >= cta.CTA_SYNPROXY_ISN && type <= cta.CTA_SYNPROXY_TSOFF) {
      if (payload + 4 > payloadEnd) return -1;
      const word = type === cta.CTA_SYNPROXY_ISN ? 1 : type === cta.CTA_SYNPROXY_ITS ? 0 : 2;
      words[f.SYNPROXY + word] = view.getUint32(payload);
    }
    at = nextAttribute(at, payloadEnd);
  }
  return 0;
}
