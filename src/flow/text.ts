/**
 * A flow as one line of text: what conntrackd prints for a cache entry, field for field, so that scripts that read
 * `conntrackd -i` go on working.
 *
 *   tcp      6 ESTABLISHED src=… dst=… sport=… dport=… src=… dst=… sport=… dport=… [ASSURED] mark=0 [active since 5s]
 *
 * Order: protocol name (8 columns) and number, state, original tuple, zone-orig, [UNREPLIED], reply tuple, zone-reply,
 * [ASSURED] or [OFFLOAD] or [HW_OFFLOAD], mark, zone, helper, age. What is not known is not printed. Two differences:
 * the reply tuple is printed for flows of the external cache too, where conntrackd has none to print; and mark=0 is printed
 * also for a flow whose mark nobody named, since the kernel's events leave out a mark of 0.
 * Source: the output of conntrackd 1.4.7, and of libnetfilter_conntrack's nfct_snprintf(3) in its default form.
 */
import { addressText } from "./address.ts";
import {
  type Flow,
  HAS_HELPER,
  HAS_STATE,
  HAS_STATUS,
  hasPorts,
  helperName,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  isIcmp,
  MARK,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  STATUS,
  ZONE_BOTH,
  ZONE_ORIG_ONLY,
  ZONE_REPLY_ONLY,
} from "./flow.ts";
import {
  DCCP_STATES,
  IPS_ASSURED,
  IPS_HW_OFFLOAD,
  IPS_OFFLOAD,
  IPS_SEEN_REPLY,
  SCTP_STATES,
  TCP_STATES,
} from "./status.ts";

const NO_STATES: readonly string[] = [];

/** Protocol names as conntrackd knows them; every other protocol is "unknown". */
export function protocolName(l4proto: number): string {
  switch (l4proto) {
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_DCCP:
      return "dccp";
    case IPPROTO_GRE:
      return "gre";
    case IPPROTO_ICMPV6:
      return "icmpv6";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_UDPLITE:
      return "udplite";
    default:
      return "unknown";
  }
}

/** Every protocol's two leading columns, ready made: "tcp      6 ". */
const PROTOCOL_COLUMNS: readonly string[] = Array.from(
  { length: 256 },
  (_, l4proto) => `${protocolName(l4proto).padEnd(8)} ${l4proto} `,
);

/** The state's name; a number no kernel has used prints as NONE. Empty for protocols without states. */
export function stateName(l4proto: number, state: number): string {
  const names =
    l4proto === IPPROTO_TCP
      ? TCP_STATES
      : l4proto === IPPROTO_SCTP
        ? SCTP_STATES
        : l4proto === IPPROTO_DCCP
          ? DCCP_STATES
          : NO_STATES;
  return names.length === 0 ? "" : (names[state] ?? names[0]);
}

/** The flow's line, without a line end. `ageSeconds`: since it entered the cache. */
export function flowLine(flow: Flow, ageSeconds: number): string {
  const words = flow.words;
  const l4proto = flow.l4proto;
  const family = flow.family;
  const known = flow.has(HAS_STATUS);
  const status = words[STATUS];
  const zoneDirection = flow.zone === 0 ? ZONE_BOTH : flow.zoneDirection;
  let line = PROTOCOL_COLUMNS[l4proto];
  const state = flow.has(HAS_STATE) ? stateName(l4proto, flow.state) : "";
  if (state !== "") line += `${state} `;
  line += tupleText(words, family, l4proto, ORIG_SRC, ORIG_DST, ORIG_PORTS);
  if (zoneDirection === ZONE_ORIG_ONLY) line += ` zone-orig=${flow.zone}`;
  line += known && (status & IPS_SEEN_REPLY) === 0 ? " [UNREPLIED] " : " ";
  line += tupleText(words, family, l4proto, REPLY_SRC, REPLY_DST, REPLY_PORTS);
  if (zoneDirection === ZONE_REPLY_ONLY) line += ` zone-reply=${flow.zone}`;
  if (known) line += lifeText(status);
  line += ` mark=${words[MARK]}`;
  if (zoneDirection === ZONE_BOTH && flow.zone !== 0) line += ` zone=${flow.zone}`;
  if (flow.has(HAS_HELPER)) line += ` helper=${helperName(words)}`;
  return `${line} [active since ${ageSeconds}s]`;
}

/** Only the first that holds is printed: an offloaded flow does not say whether it is assured. */
function lifeText(status: number): string {
  if ((status & IPS_HW_OFFLOAD) !== 0) return " [HW_OFFLOAD]";
  if ((status & IPS_OFFLOAD) !== 0) return " [OFFLOAD]";
  return (status & IPS_ASSURED) !== 0 ? " [ASSURED]" : "";
}

/** Addresses, then what the protocol tells flows apart by. */
function tupleText(
  words: Uint32Array,
  family: number,
  l4proto: number,
  source: number,
  destination: number,
  ports: number,
): string {
  const addresses = `src=${addressText(words, source, family)} dst=${addressText(words, destination, family)}`;
  return addresses + portsText(l4proto, words[ports]);
}

/** The two halves of a ports word, each with a leading space; nothing for protocols without. */
export function portsText(l4proto: number, ports: number): string {
  const high = ports >>> 16;
  const low = ports & 0xffff;
  if (hasPorts(l4proto)) return ` sport=${high} dport=${low}`;
  if (isIcmp(l4proto)) return ` type=${low >>> 8} code=${low & 0xff} id=${high}`;
  return l4proto === IPPROTO_GRE ? ` srckey=0x${high.toString(16)} dstkey=0x${low.toString(16)}` : "";
}
