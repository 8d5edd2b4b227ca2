/**
 * The reply tuple of a flow that came without one: the mirror of its original tuple, changed where it was translated.
 *
 * The sync protocol sends the original tuple and NAT attributes only. Source NAT changes the reply's destination,
 * destination NAT the reply's source. For ICMP the reply type answers the original one; NAT ports mean nothing there.
 * Source: conntrackd's synchronisation protocol, version 1, sections 5.4 and 15.
 */
import {
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_REPLY,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  icmpWord,
  isIcmp,
  l4protoOf,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
} from "./flow.ts";

/** ICMP type that answers `type`, or -1 when the kernel tracks no reply to it. */
export function icmpReplyType(l4proto: number, type: number): number {
  if (l4proto === IPPROTO_ICMP) {
    switch (type) {
      case 8:
        return 0; // echo
      case 0:
        return 8;
      case 13:
        return 14; // timestamp
      case 14:
        return 13;
      case 15:
        return 16; // information
      case 16:
        return 15;
      case 17:
        return 18; // address mask
      case 18:
        return 17;
    }
  } else if (l4proto === IPPROTO_ICMPV6) {
    switch (type) {
      case 128:
        return 129; // echo
      case 129:
        return 128;
      case 139:
        return 140; // node information
      case 140:
        return 139;
    }
  }
  return -1;
}

/** The ports word of the reply to an ICMP flow that nobody translated. */
export function icmpReply(l4proto: number, ports: number): number {
  const type = icmpReplyType(l4proto, (ports >>> 8) & 0xff);
  return type < 0 ? ports : icmpWord(ports >>> 16, type, ports & 0xff);
}

/** Turns the tuple in words 0 to 9 round: what answers it where nobody translates. */
export function mirror(tuple: Uint32Array): void {
  for (let i = 0; i < 4; i++) {
    const source = tuple[ORIG_SRC + i];
    tuple[ORIG_SRC + i] = tuple[ORIG_DST + i];
    tuple[ORIG_DST + i] = source;
  }
  tuple[ORIG_PORTS] = mirroredPorts(tuple[PROTO], tuple[ORIG_PORTS]);
}

/** The ports word of the answer to a flow that nobody translated. */
function mirroredPorts(proto: number, ports: number): number {
  const l4proto = l4protoOf(proto);
  return isIcmp(l4proto) ? icmpReply(l4proto, ports) : ((ports << 16) | (ports >>> 16)) >>> 0;
}

/** The reply tuple of a flow that a peer told of: an extended one may have told it as a whole. */
export function completeReply(words: Uint32Array): void {
  if ((words[HAS] & HAS_REPLY) === 0) deriveReply(words);
}

/** Fills the parts of the reply tuple that no NAT attribute gave. Words whose HAS bit for NAT is set are kept. */
export function deriveReply(words: Uint32Array): void {
  const has = words[HAS];
  if ((has & HAS_DNAT_ADDR) === 0) words.copyWithin(REPLY_SRC, ORIG_DST, ORIG_DST + 4);
  if ((has & HAS_SNAT_ADDR) === 0) words.copyWithin(REPLY_DST, ORIG_SRC, ORIG_SRC + 4);
  const ports = words[ORIG_PORTS];
  const l4proto = l4protoOf(words[PROTO]);
  if (isIcmp(l4proto)) {
    words[REPLY_PORTS] = icmpReply(l4proto, ports);
    return;
  }
  const source = has & HAS_DNAT_PORT ? words[REPLY_PORTS] >>> 16 : ports & 0xffff;
  const destination = has & HAS_SNAT_PORT ? words[REPLY_PORTS] & 0xffff : ports >>> 16;
  words[REPLY_PORTS] = ((source << 16) | destination) >>> 0;
}
