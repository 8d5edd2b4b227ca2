/** What the library makes of a ctnetlink message, as the words of a flow: the oracle our own decoder is held to. */
import { Attribute as A, ConntrackObject } from "../../ffi/libnetfilter-conntrack.ts";
import * as f from "../../src/flow/flow.ts";

/** The library hands addresses and ports out as they lie in memory, big-endian. */
const swap32 = (x: number): number => ((x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;
const swap16 = (x: number): number => ((x & 0xff) << 8) | (x >>> 8);

/**
 * Undefined when the library refuses the message. It keeps one ICMP id, type and code for both directions, so
 * REPLY_PORTS of ICMP stays 0.
 */
export function parseByLibrary(message: Uint8Array): Uint32Array | undefined {
  const ct = new ConntrackObject();
  try {
    return ct.parse(message) ? wordsOf(ct) : undefined;
  } finally {
    ct.destroy();
  }
}

function wordsOf(ct: ConntrackObject): Uint32Array {
  const words = new Uint32Array(f.FLOW_WORDS);
  const ipv6 = ct.u8(A.ORIG_L3PROTO) === 10;
  const l4proto = ct.u8(A.ORIG_L4PROTO);
  let has = f.HAS_REPLY;
  const put = (bit: number, attribute: A, word: number, shift = 0): void => {
    if (!ct.has(attribute)) return;
    has |= bit;
    words[word] |= ct.u32(attribute) << shift;
  };
  const put8 = (bit: number, attribute: A, word: number, shift = 0): void => {
    if (!ct.has(attribute)) return;
    has |= bit;
    words[word] |= ct.u8(attribute) << shift;
  };
  putTuples(ct, words, ipv6, l4proto);
  if (ct.has(A.ORIG_PORT_SRC) || ct.has(A.ICMP_ID)) has |= f.HAS_PORTS;
  put(f.HAS_STATUS, A.STATUS, f.STATUS);
  put(f.HAS_TIMEOUT, A.TIMEOUT, f.TIMEOUT);
  put(f.HAS_MARK, A.MARK, f.MARK);
  put8(f.HAS_STATE, A.TCP_STATE, f.INFO);
  put8(f.HAS_WSCALE, A.TCP_WSCALE_ORIG, f.INFO, 8);
  put8(f.HAS_WSCALE, A.TCP_WSCALE_REPL, f.INFO, 16);
  if (LIBERAL & ct.u8(A.TCP_FLAGS_ORIG) & ct.u8(A.TCP_FLAGS_REPL)) has |= f.HAS_LIBERAL;
  put8(f.HAS_STATE, A.SCTP_STATE, f.INFO);
  put(f.HAS_VTAGS, A.SCTP_VTAG_ORIG, f.VTAG_ORIG);
  put(f.HAS_VTAGS, A.SCTP_VTAG_REPL, f.VTAG_REPLY);
  for (let label = 0; ct.has(A.CONNLABELS) && label < 128; label++) {
    has |= f.HAS_LABELS;
    if (ct.hasLabel(label)) words[f.LABELS + (label >> 5)] |= 1 << (label & 31);
  }
  const helper = ct.helper();
  if (helper !== undefined) {
    has |= f.HAS_HELPER;
    f.setHelperName(words, helper);
  }
  has |= putMaster(ct, words, ipv6);
  if (ct.has(A.ORIG_NAT_SEQ_CORRECTION_POS) && ct.has(A.REPL_NAT_SEQ_CORRECTION_POS)) {
    has |= f.HAS_SEQADJ;
    SEQADJ.forEach((attribute, i) => {
      words[f.SEQADJ + i] = ct.u32(attribute);
    });
  }
  put(f.HAS_SYNPROXY, A.SYNPROXY_ITS, f.SYNPROXY);
  put(f.HAS_SYNPROXY, A.SYNPROXY_ISN, f.SYNPROXY + 1);
  put(f.HAS_SYNPROXY, A.SYNPROXY_TSOFF, f.SYNPROXY + 2);
  words[f.HAS] = has;
  const family = ipv6 ? 6 : 4;
  words[f.PROTO] = ct.has(A.ORIG_ZONE)
    ? f.protoWord(family, l4proto, ct.u16(A.ORIG_ZONE), f.ZONE_ORIG_ONLY)
    : ct.has(A.REPL_ZONE)
      ? f.protoWord(family, l4proto, ct.u16(A.REPL_ZONE), f.ZONE_REPLY_ONLY)
      : f.protoWord(family, l4proto, ct.u16(A.ZONE), f.ZONE_BOTH);
  return words;
}

/** IP_CT_TCP_FLAG_BE_LIBERAL */
const LIBERAL = 0x08;

const SEQADJ = [
  A.ORIG_NAT_SEQ_CORRECTION_POS,
  A.ORIG_NAT_SEQ_OFFSET_BEFORE,
  A.ORIG_NAT_SEQ_OFFSET_AFTER,
  A.REPL_NAT_SEQ_CORRECTION_POS,
  A.REPL_NAT_SEQ_OFFSET_BEFORE,
  A.REPL_NAT_SEQ_OFFSET_AFTER,
];

function putTuples(ct: ConntrackObject, words: Uint32Array, ipv6: boolean, l4proto: number): void {
  if (ipv6) {
    putAddress6(words, f.ORIG_SRC, ct.address6(A.ORIG_IPV6_SRC));
    putAddress6(words, f.ORIG_DST, ct.address6(A.ORIG_IPV6_DST));
    putAddress6(words, f.REPLY_SRC, ct.address6(A.REPL_IPV6_SRC));
    putAddress6(words, f.REPLY_DST, ct.address6(A.REPL_IPV6_DST));
  } else {
    words[f.ORIG_SRC] = swap32(ct.u32(A.ORIG_IPV4_SRC));
    words[f.ORIG_DST] = swap32(ct.u32(A.ORIG_IPV4_DST));
    words[f.REPLY_SRC] = swap32(ct.u32(A.REPL_IPV4_SRC));
    words[f.REPLY_DST] = swap32(ct.u32(A.REPL_IPV4_DST));
  }
  if (f.isIcmp(l4proto)) {
    words[f.ORIG_PORTS] = f.icmpWord(swap16(ct.u16(A.ICMP_ID)), ct.u8(A.ICMP_TYPE), ct.u8(A.ICMP_CODE));
  } else if (ct.has(A.ORIG_PORT_SRC)) {
    words[f.ORIG_PORTS] = f.portsWord(swap16(ct.u16(A.ORIG_PORT_SRC)), swap16(ct.u16(A.ORIG_PORT_DST)));
    words[f.REPLY_PORTS] = f.portsWord(swap16(ct.u16(A.REPL_PORT_SRC)), swap16(ct.u16(A.REPL_PORT_DST)));
  }
}

function putMaster(ct: ConntrackObject, words: Uint32Array, ipv6: boolean): number {
  if (!ct.has(A.MASTER_L4PROTO)) return 0;
  words[f.MASTER_PROTO] = f.protoWord(ipv6 ? 6 : 4, ct.u8(A.MASTER_L4PROTO), 0, f.ZONE_BOTH);
  if (ipv6) {
    putAddress6(words, f.MASTER_SRC, ct.address6(A.MASTER_IPV6_SRC));
    putAddress6(words, f.MASTER_DST, ct.address6(A.MASTER_IPV6_DST));
  } else {
    words[f.MASTER_SRC] = swap32(ct.u32(A.MASTER_IPV4_SRC));
    words[f.MASTER_DST] = swap32(ct.u32(A.MASTER_IPV4_DST));
  }
  if (!ct.has(A.MASTER_PORT_SRC)) return f.HAS_MASTER;
  words[f.MASTER_PORTS] = f.portsWord(swap16(ct.u16(A.MASTER_PORT_SRC)), swap16(ct.u16(A.MASTER_PORT_DST)));
  return f.HAS_MASTER | f.HAS_MASTER_PORTS;
}

function putAddress6(words: Uint32Array, at: number, address: Uint8Array | undefined): void {
  if (address === undefined) return;
  const view = new DataView(address.buffer, address.byteOffset);
  for (let i = 0; i < 4; i++) words[at + i] = view.getUint32(i * 4);
}
