/**
 * Two 32-bit hashes of a flow that come out alike on both sides of the wire: of its key, and of all that is replicated of it.
 *
 * Left out is what the sides may rightly know differently: the timeout; what is only known (HAS) beside what it says; the
 * reply tuple where no NAT changed it, since the receiver derives it; what the message of a flow has no place for (GRE keys,
 * UDP-Lite ports, one-direction zones, long helper names, window scales).
 * Not keyed: whoever can choose tuples could make two flows hash alike, which hides nothing unless a fault mixes up just
 * those two. The tables' own hash stays secret (src/cache/hash.ts).
 */
import {
  familyOf,
  HAS,
  HAS_RARE,
  HAS_STATE,
  HELPER,
  hasPorts,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDPLITE,
  isIcmp,
  LABELS,
  l4protoOf,
  MARK,
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
  VTAG_ORIG,
  VTAG_REPLY,
} from "./flow.ts";
import { IPS_DST_NAT_DONE, IPS_HELPER, IPS_SRC_NAT_DONE } from "./status.ts";

const SEED = 0x63747379;
const WITHOUT_ZONE = 0x0fff0000;
const ZONE_DIRECTION = 0x30000000;
/** The last byte of a helper's name of 12 characters or more lies behind this word. */
const HELPER_LONG = HELPER + 2;

export const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};

export const finish = (hash: number): number => {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
};

const wirePorts = (l4proto: number): boolean => hasPorts(l4proto) && l4proto !== IPPROTO_UDPLITE;

/** Hash of the flow's identity, as an unsigned 32-bit number. */
export function keyDigest(words: Uint32Array): number {
  const proto = words[PROTO];
  const l4proto = l4protoOf(proto);
  let hash = mix(SEED, (proto & ZONE_DIRECTION) === 0 ? proto : proto & WITHOUT_ZONE);
  hash = mix(mix(hash, words[ORIG_SRC]), words[ORIG_DST]);
  if (familyOf(proto) === 6)
    for (let i = 1; i < 4; i++) hash = mix(mix(hash, words[ORIG_SRC + i]), words[ORIG_DST + i]);
  return finish(wirePorts(l4proto) || isIcmp(l4proto) ? mix(hash, words[ORIG_PORTS]) : hash);
}

/** Hash of the whole, of a flow whose key has the hash `key`; never 0. */
export function contentDigest(words: Uint32Array, key: number): number {
  const l4proto = l4protoOf(words[PROTO]);
  const has = words[HAS];
  const status = words[STATUS];
  let hash = mix(mix(key, status), words[MARK]);
  if ((has & HAS_STATE) !== 0) {
    if (l4proto === IPPROTO_TCP) hash = mix(hash, words[INFO] & 0xff);
    else if (l4proto === IPPROTO_SCTP)
      hash = mix(mix(mix(hash, words[INFO] & 0xff), words[VTAG_ORIG]), words[VTAG_REPLY]);
    else if (l4proto === IPPROTO_DCCP) hash = mix(hash, words[INFO] & 0xffff);
  }
  if ((status & (IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE)) !== 0) hash = mixReply(hash, words, status, wirePorts(l4proto));
  if ((has & HAS_RARE) !== 0) hash = mixRare(hash, words);
  return finish(hash) || 1;
}

/**
 * Hash of what packets change in an entry of one and the same kernel; 2 at least. Timer and window scales are left out, and the
 * helper, which goes with its module.
 */
export function entryDigest(words: Uint32Array): number {
  let hash = mix(mix(SEED, words[STATUS] & ~IPS_HELPER), words[MARK]);
  hash = mix(hash, words[INFO] & 0xff);
  for (let i = REPLY_SRC; i <= REPLY_PORTS; i++) hash = mix(hash, words[i]);
  hash = mixPart(hash, words, VTAG_ORIG, HELPER);
  return (finish(mixPart(hash, words, SEQADJ, SYNPROXY + 3)) | 2) >>> 0;
}

function mixReply(hash: number, words: Uint32Array, status: number, ports: boolean): number {
  const count = familyOf(words[PROTO]) === 6 ? 4 : 1;
  if ((status & IPS_SRC_NAT_DONE) !== 0) {
    for (let i = 0; i < count; i++) hash = mix(hash, words[REPLY_DST + i]);
    if (ports) hash = mix(hash, words[REPLY_PORTS] & 0xffff);
  }
  if ((status & IPS_DST_NAT_DONE) !== 0) {
    for (let i = 0; i < count; i++) hash = mix(hash, words[REPLY_SRC + i]);
    if (ports) hash = mix(hash, words[REPLY_PORTS] >>> 16);
  }
  return hash;
}

/** What is zero counts as absent: a kernel names a SYNPROXY of zeros where another names none. */
function mixRare(hash: number, words: Uint32Array): number {
  hash = mixPart(hash, words, LABELS, HELPER);
  if ((words[HELPER_LONG] & 0xff) === 0) hash = mixPart(hash, words, HELPER, HELPER_LONG + 1);
  if (words[MASTER_PROTO] !== 0) {
    hash = mix(hash, words[MASTER_PROTO] & WITHOUT_ZONE);
    hash = mixPart(hash, words, MASTER_SRC, SEQADJ);
  }
  return mixPart(hash, words, SEQADJ, SYNPROXY + 3);
}

/** Words from `from` to before `end` with their places, those that are 0 left out. */
function mixPart(hash: number, words: Uint32Array, from: number, end: number): number {
  for (let i = from; i < end; i++) if (words[i] !== 0) hash = mix(mix(hash, i), words[i]);
  return hash;
}
