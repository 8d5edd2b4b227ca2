/**
 * Which ctnetlink messages may be given to libnetfilter_conntrack, to compare with: those that a kernel could have made.
 *
 * Every length right, every attribute of the size that the kernel gives it, none twice, addresses of the message's family,
 * ports where the protocol has them. Beyond that the library and we differ on purpose (it takes a message without a reply
 * tuple), and it trusts its caller: what lies about a length may end the process.
 */
import { hasPorts, IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_ICMPV6 } from "../../src/flow/flow.ts";
import * as cta from "../../src/kernel/ctnetlink-attributes.ts";
import { AF_INET, AF_INET6 } from "../../src/kernel/netlink.ts";
import { type Attribute, plainType } from "./attribute-tree.ts";
import { attributesOf, type Message } from "./kernel-corpus.ts";

/** Bytes of a payload, or what is nested in it, by type. A type that is not named is left out of the comparison. */
interface Level {
  readonly [type: number]: number | Level | ((payload: Uint8Array) => boolean);
}

const CTA_USE = 11;
const CTA_ID = 12;
/** The default zone, 0, is never named. */
const isZone = (payload: Uint8Array): boolean => payload.length === 2 && (payload[0]! | payload[1]!) !== 0;
const PROTO: Level = {
  [cta.CTA_PROTO_NUM]: 1,
  [cta.CTA_PROTO_SRC_PORT]: 2,
  [cta.CTA_PROTO_DST_PORT]: 2,
  [cta.CTA_PROTO_ICMP_ID]: 2,
  [cta.CTA_PROTO_ICMP_TYPE]: 1,
  [cta.CTA_PROTO_ICMP_CODE]: 1,
  [cta.CTA_PROTO_ICMPV6_ID]: 2,
  [cta.CTA_PROTO_ICMPV6_TYPE]: 1,
  [cta.CTA_PROTO_ICMPV6_CODE]: 1,
};
const tuple = (addresses: Level): Level => ({
  [cta.CTA_TUPLE_IP]: addresses,
  [cta.CTA_TUPLE_PROTO]: PROTO,
  [cta.CTA_TUPLE_ZONE]: isZone,
});
const SEQADJ: Level = {
  [cta.CTA_SEQADJ_CORRECTION_POS]: 4,
  [cta.CTA_SEQADJ_OFFSET_BEFORE]: 4,
  [cta.CTA_SEQADJ_OFFSET_AFTER]: 4,
};
const SYNPROXY: Level = { [cta.CTA_SYNPROXY_ISN]: 4, [cta.CTA_SYNPROXY_ITS]: 4, [cta.CTA_SYNPROXY_TSOFF]: 4 };
const TCP: Level = {
  [cta.CTA_PROTOINFO_STATE]: 1,
  [cta.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL]: 1,
  [cta.CTA_PROTOINFO_TCP_WSCALE_REPLY]: 1,
  [cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL]: 2,
  [cta.CTA_PROTOINFO_TCP_FLAGS_REPLY]: 2,
};
const SCTP: Level = {
  [cta.CTA_PROTOINFO_STATE]: 1,
  [cta.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL]: 4,
  [cta.CTA_PROTOINFO_SCTP_VTAG_REPLY]: 4,
};
const isName = (payload: Uint8Array): boolean =>
  payload.length >= 2 &&
  payload.length <= 16 &&
  payload.indexOf(0) === payload.length - 1 &&
  payload.every((byte) => byte < 0x80);

const message = (addresses: Level): Level => ({
  [cta.CTA_TUPLE_ORIG]: tuple(addresses),
  [cta.CTA_TUPLE_REPLY]: tuple(addresses),
  [cta.CTA_TUPLE_MASTER]: tuple(addresses),
  [cta.CTA_STATUS]: 4,
  [cta.CTA_TIMEOUT]: 4,
  [cta.CTA_MARK]: 4,
  [cta.CTA_ZONE]: isZone,
  [cta.CTA_LABELS]: cta.LABELS_BYTES,
  [cta.CTA_HELP]: { [cta.CTA_HELP_NAME]: isName },
  [cta.CTA_SEQ_ADJ_ORIG]: SEQADJ,
  [cta.CTA_SEQ_ADJ_REPLY]: SEQADJ,
  [cta.CTA_SYNPROXY]: SYNPROXY,
  [cta.CTA_PROTOINFO]: {
    [cta.CTA_PROTOINFO_TCP]: TCP,
    [cta.CTA_PROTOINFO_SCTP]: SCTP,
  },
  // Neither of us reads these.
  [CTA_USE]: 4,
  [CTA_ID]: 4,
});
const IPV4 = message({ [cta.CTA_IP_V4_SRC]: 4, [cta.CTA_IP_V4_DST]: 4 });
const IPV6 = message({ [cta.CTA_IP_V6_SRC]: 16, [cta.CTA_IP_V6_DST]: 16 });

export function isKernelLike(bytes: Message): boolean {
  const attributes = attributesOf(bytes);
  if (attributes === undefined || new DataView(bytes.buffer).getUint32(0, true) !== bytes.length) return false;
  const family = bytes[cta.FAMILY_AT];
  if (family !== AF_INET && family !== AF_INET6) return false;
  if (!fits(attributes, family === AF_INET ? IPV4 : IPV6)) return false;
  const of = (type: number): readonly Attribute[] => attributes.filter((attribute) => plainType(attribute) === type);
  const [orig] = of(cta.CTA_TUPLE_ORIG);
  const [reply] = of(cta.CTA_TUPLE_REPLY);
  const [master] = of(cta.CTA_TUPLE_MASTER);
  if (orig === undefined || reply === undefined || protocolOf(orig) !== protocolOf(reply)) return false;
  return [orig, reply, ...(master ? [master] : [])].every(isWholeTuple);
}

/** What we do not read, or whose first byte is enough. */
const UNREAD: readonly (readonly [level: Level, types: readonly number[]])[] = [
  [IPV4, [CTA_USE, CTA_ID]],
  [IPV6, [CTA_USE, CTA_ID]],
  [TCP, [cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, cta.CTA_PROTOINFO_TCP_FLAGS_REPLY]],
];

/** Whether a value that we read is shorter than its number: then it must not be read, from whatever stands behind it. */
export function hasShortValue(bytes: Message): boolean {
  const attributes = attributesOf(bytes);
  return attributes !== undefined && anyShort(attributes, bytes[cta.FAMILY_AT] === AF_INET6 ? IPV6 : IPV4);
}

function anyShort(attributes: readonly Attribute[], level: Level): boolean {
  const unread = UNREAD.find(([of]) => of === level)?.[1] ?? [];
  return attributes.some((attribute) => {
    const rule = level[plainType(attribute)];
    if (rule === undefined || unread.includes(plainType(attribute))) return false;
    if (typeof rule === "number") return attribute.payload.length < rule;
    if (rule === isZone) return attribute.payload.length < 2;
    return typeof rule === "object" && attribute.nested !== undefined && anyShort(attribute.nested, rule);
  });
}

/** Attributes that the kernel gives together, or not at all. */
const TOGETHER: readonly (readonly [level: Level, types: readonly number[]])[] = [
  [SEQADJ, [1, 2, 3]],
  [SYNPROXY, [1, 2, 3]],
  [TCP, [cta.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, cta.CTA_PROTOINFO_TCP_WSCALE_REPLY]],
  [SCTP, [cta.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, cta.CTA_PROTOINFO_SCTP_VTAG_REPLY]],
];

/** Each attribute has its size, and stands once in its level. */
function fits(attributes: readonly Attribute[], level: Level): boolean {
  const seen = new Set<number>();
  const alone = attributes.every((attribute) => {
    const type = plainType(attribute);
    const rule = level[type];
    if (rule === undefined || seen.has(type)) return false;
    seen.add(type);
    if (typeof rule === "number") return attribute.payload.length === rule;
    if (typeof rule === "function") return attribute.nested === undefined && rule(attribute.payload);
    return attribute.nested !== undefined && attribute.nested.length > 0 && fits(attribute.nested, rule);
  });
  const types = TOGETHER.find(([of]) => of === level)?.[1] ?? [];
  const there = types.filter((type) => seen.has(type)).length;
  return alone && (there === 0 || there === types.length);
}

const within = ({ nested }: Attribute, type: number): Attribute | undefined =>
  nested?.find((attribute) => plainType(attribute) === type);

function protocolOf(of: Attribute): number {
  const protocol = within(of, cta.CTA_TUPLE_PROTO);
  return (protocol && within(protocol, cta.CTA_PROTO_NUM)?.payload[0]) ?? -1;
}

/** Both addresses, and of the protocol just what a kernel says of it. */
function isWholeTuple(of: Attribute): boolean {
  const types = (within(of, cta.CTA_TUPLE_PROTO)?.nested ?? []).map(plainType).sort((a, b) => a - b);
  const l4proto = protocolOf(of);
  const wanted =
    l4proto === IPPROTO_ICMP
      ? [1, 4, 5, 6]
      : l4proto === IPPROTO_ICMPV6
        ? [1, 7, 8, 9]
        : hasPorts(l4proto) || l4proto === IPPROTO_GRE
          ? [1, 2, 3]
          : [1];
  return within(of, cta.CTA_TUPLE_IP)?.nested?.length === 2 && types.join() === wanted.join();
}
