/**
 * A flow as one JSON object on one line, for programs: every field named, the unit in the name, and only what is known.
 *
 *   {"family":"ipv4","protocol":"tcp","protocolNumber":6,"state":"ESTABLISHED","orig":{"src":…,"dst":…,"sport":…,
 *    "dport":…},"reply":{…},"status":["SEEN_REPLY","ASSURED"],"timeoutSeconds":432000,"mark":7,…}
 *
 * `status` has the kernel's IPS_… names without their prefix, `labels` the numbers of the labels that are set. A zone that
 * counts in one direction only is `zoneOrig` or `zoneReply`, as conntrack(8) names it.
 */
import { addressText } from "./address.ts";
import {
  type Flow,
  familyOf,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  hasPorts,
  helperName,
  INFO,
  IPPROTO_GRE,
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
  PROTO,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
  ZONE_ORIG_ONLY,
  ZONE_REPLY_ONLY,
} from "./flow.ts";
import { protocolName, stateName } from "./text.ts";

type Json = Record<string, unknown>;

/** Names of the status bits, from bit 0 on. */
const STATUS_NAMES: readonly string[] = [
  "EXPECTED",
  "SEEN_REPLY",
  "ASSURED",
  "CONFIRMED",
  "SRC_NAT",
  "DST_NAT",
  "SEQ_ADJUST",
  "SRC_NAT_DONE",
  "DST_NAT_DONE",
  "DYING",
  "FIXED_TIMEOUT",
  "TEMPLATE",
  "UNTRACKED",
  "HELPER",
  "OFFLOAD",
  "HW_OFFLOAD",
];

/** The flow's object, without a line end. `ageSeconds`: since it entered the cache. */
export function flowJson(flow: Flow, ageSeconds: number): string {
  const words = flow.words;
  const proto = words[PROTO];
  const object: Json = {
    family: flow.family === 6 ? "ipv6" : "ipv4",
    protocol: protocolName(flow.l4proto),
    protocolNumber: flow.l4proto,
  };
  const state = flow.has(HAS_STATE) ? stateName(flow.l4proto, flow.state) : "";
  if (state !== "") object.state = state;
  object.orig = tuple(words, proto, ORIG_SRC, ORIG_DST, words[ORIG_PORTS]);
  object.reply = tuple(words, proto, REPLY_SRC, REPLY_DST, words[REPLY_PORTS]);
  if (flow.has(HAS_STATUS)) object.status = STATUS_NAMES.filter((_, bit) => (words[STATUS] & (1 << bit)) !== 0);
  if (flow.has(HAS_TIMEOUT)) object.timeoutSeconds = words[TIMEOUT];
  object.mark = words[MARK]; // The kernel's events leave out a mark of 0.
  if (flow.zone !== 0) object[zoneName(flow.zoneDirection)] = flow.zone;
  if (flow.has(HAS_HELPER)) object.helper = helperName(words);
  if (flow.has(HAS_LABELS)) object.labels = labelNumbers(words);
  if (flow.has(HAS_MASTER)) object.master = masterOf(flow);
  addProtocolDetails(flow, object);
  object.activeSinceSeconds = ageSeconds;
  return JSON.stringify(object);
}

function addProtocolDetails(flow: Flow, object: Json): void {
  const words = flow.words;
  if (flow.has(HAS_WSCALE)) {
    object.tcpWindowScale = { orig: (words[INFO] >>> 8) & 0xff, reply: (words[INFO] >>> 16) & 0xff };
  }
  if (flow.has(HAS_VTAGS)) object.sctpVerificationTag = { orig: words[VTAG_ORIG], reply: words[VTAG_REPLY] };
  if (flow.has(HAS_SEQADJ)) object.seqadj = { orig: seqadj(words, SEQADJ), reply: seqadj(words, SEQADJ + 3) };
  if (flow.has(HAS_SYNPROXY)) {
    object.synproxy = { its: words[SYNPROXY], isn: words[SYNPROXY + 1], tsoff: words[SYNPROXY + 2] };
  }
}

function tuple(words: Uint32Array, proto: number, source: number, destination: number, ports: number): Json {
  const family = familyOf(proto);
  const object: Json = { src: addressText(words, source, family), dst: addressText(words, destination, family) };
  return Object.assign(object, portsObject(l4protoOf(proto), ports));
}

/** The two halves of a ports word by their names; nothing for protocols without. */
export function portsObject(l4proto: number, ports: number): Json {
  const high = ports >>> 16;
  const low = ports & 0xffff;
  if (hasPorts(l4proto)) return { sport: high, dport: low };
  if (isIcmp(l4proto)) return { type: low >>> 8, code: low & 0xff, id: high };
  return l4proto === IPPROTO_GRE ? { srckey: high, dstkey: low } : {};
}

function masterOf(flow: Flow): Json {
  const words = flow.words;
  const proto = words[MASTER_PROTO];
  const protocol = { protocol: protocolName(l4protoOf(proto)), protocolNumber: l4protoOf(proto) };
  if (flow.has(HAS_MASTER_PORTS)) {
    return { ...protocol, ...tuple(words, proto, MASTER_SRC, MASTER_DST, words[MASTER_PORTS]) };
  }
  const family = familyOf(proto);
  return {
    ...protocol,
    src: addressText(words, MASTER_SRC, family),
    dst: addressText(words, MASTER_DST, family),
  };
}

const seqadj = (words: Uint32Array, at: number): Json => ({
  position: words[at],
  offsetBefore: words[at + 1] | 0,
  offsetAfter: words[at + 2] | 0,
});

function labelNumbers(words: Uint32Array): number[] {
  const numbers: number[] = [];
  for (let label = 0; label < 128; label++) {
    if ((words[LABELS + (label >> 5)] & (1 << (label & 31))) !== 0) numbers.push(label);
  }
  return numbers;
}

function zoneName(direction: number): "zone" | "zoneOrig" | "zoneReply" {
  if (direction === ZONE_ORIG_ONLY) return "zoneOrig";
  return direction === ZONE_REPLY_ONLY ? "zoneReply" : "zone";
}
