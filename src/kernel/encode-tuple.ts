/**
 * A flow's tuples as ctnetlink attributes: the reverse of decode-tuple.ts.
 *
 * The zone stands inside the original (or reply) tuple when it holds for that direction only, else beside the tuples.
 */
import * as f from "../flow/flow.ts";
import * as cta from "./ctnetlink-attributes.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AF_INET, AF_INET6 } from "./netlink.ts";

const DST = 4;
const PORTS = 8;

export const addressFamilyOf = (proto: number): number => (f.familyOf(proto) === 6 ? AF_INET6 : AF_INET);

const zoneDirectionOf = (proto: number): number => (proto >>> 28) & 3;

/** What names an entry to the kernel: its original tuple and zone. */
export function encodeIdentity(to: MessageWriter, words: Uint32Array): void {
  const proto = words[f.PROTO];
  encodeTuple(to, cta.CTA_TUPLE_ORIG, words, f.ORIG_SRC, proto, f.ZONE_ORIG_ONLY);
  encodeZone(to, proto);
}

/** Both tuples, `reply` taken from nine words of `replyWords` from `replyAt`. */
export function encodeTuples(to: MessageWriter, words: Uint32Array, replyWords: Uint32Array, replyAt: number): void {
  const proto = words[f.PROTO];
  encodeTuple(to, cta.CTA_TUPLE_ORIG, words, f.ORIG_SRC, proto, f.ZONE_ORIG_ONLY);
  encodeTuple(to, cta.CTA_TUPLE_REPLY, replyWords, replyAt, proto, f.ZONE_REPLY_ONLY);
  encodeZone(to, proto);
}

export function encodeMaster(to: MessageWriter, words: Uint32Array): void {
  const proto = f.protoWord(f.familyOf(words[f.PROTO]), f.l4protoOf(words[f.MASTER_PROTO]), 0, f.ZONE_BOTH);
  encodeTuple(to, cta.CTA_TUPLE_MASTER, words, f.MASTER_SRC, proto, -1);
}

function encodeZone(to: MessageWriter, proto: number): void {
  const zone = proto & 0xffff;
  if (zone !== 0 && zoneDirectionOf(proto) === f.ZONE_BOTH) to.u16(cta.CTA_ZONE, zone);
}

/** The nine words from `from` on as a tuple. `zoneDirection` is the one whose zone belongs inside it. */
export function encodeTuple(
  to: MessageWriter,
  type: number,
  words: Uint32Array,
  from: number,
  proto: number,
  zoneDirection: number,
): void {
  const tuple = to.nest(type);
  const addresses = to.nest(cta.CTA_TUPLE_IP);
  if (f.familyOf(proto) === 6) {
    to.address6(cta.CTA_IP_V6_SRC, words, from);
    to.address6(cta.CTA_IP_V6_DST, words, from + DST);
  } else {
    to.u32(cta.CTA_IP_V4_SRC, words[from]);
    to.u32(cta.CTA_IP_V4_DST, words[from + DST]);
  }
  to.unnest(addresses);
  const l4 = to.nest(cta.CTA_TUPLE_PROTO);
  encodeProtocol(to, f.l4protoOf(proto), words[from + PORTS]);
  to.unnest(l4);
  const zone = proto & 0xffff;
  if (zone !== 0 && zoneDirectionOf(proto) === zoneDirection) to.u16(cta.CTA_TUPLE_ZONE, zone);
  to.unnest(tuple);
}

function encodeProtocol(to: MessageWriter, l4proto: number, ports: number): void {
  const high = ports >>> 16;
  const low = ports & 0xffff;
  to.u8(cta.CTA_PROTO_NUM, l4proto);
  if (l4proto === f.IPPROTO_ICMP) {
    to.u16(cta.CTA_PROTO_ICMP_ID, high);
    to.u8(cta.CTA_PROTO_ICMP_TYPE, low >>> 8);
    to.u8(cta.CTA_PROTO_ICMP_CODE, low & 0xff);
  } else if (l4proto === f.IPPROTO_ICMPV6) {
    to.u16(cta.CTA_PROTO_ICMPV6_ID, high);
    to.u8(cta.CTA_PROTO_ICMPV6_TYPE, low >>> 8);
    to.u8(cta.CTA_PROTO_ICMPV6_CODE, low & 0xff);
  } else if (f.hasPorts(l4proto) || l4proto === f.IPPROTO_GRE) {
    to.u16(cta.CTA_PROTO_SRC_PORT, high);
    to.u16(cta.CTA_PROTO_DST_PORT, low);
  }
}
