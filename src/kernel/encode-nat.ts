/**
 * NAT of a flow as the set-up requests ctnetlink takes with a new entry: CTA_NAT_SRC, CTA_NAT_DST.
 *
 * Source NAT shows in the reply's destination, destination NAT in the reply's source. A translated flow names both, each
 * with exactly one address and one port, translated or not: for a side that is left open the kernel would pick another
 * port when the one we mean is taken, and the flow would come back to the wrong tuple. So it answers EEXIST instead.
 * For ICMP the id takes the port's place, on the source side. Protocols without ports have addresses alone.
 * Source: linux/netfilter/nfnetlink_conntrack.h (ctattr_nat, ctattr_protonat), and experiment.
 */
import * as f from "../flow/flow.ts";
import * as cta from "./ctnetlink-attributes.ts";
import type { MessageWriter } from "./message-writer.ts";

/** The reply tuple is not the mirror of the original one. */
export function isTranslated(words: Uint32Array): boolean {
  for (let i = 0; i < 4; i++) {
    if (words[f.REPLY_SRC + i] !== words[f.ORIG_DST + i] || words[f.REPLY_DST + i] !== words[f.ORIG_SRC + i])
      return true;
  }
  const orig = words[f.ORIG_PORTS];
  const reply = words[f.REPLY_PORTS];
  const l4proto = f.l4protoOf(words[f.PROTO]);
  if (f.isIcmp(l4proto)) return orig >>> 16 !== reply >>> 16;
  return hasPortsOrKeys(l4proto) && reply !== ((orig << 16) | (orig >>> 16)) >>> 0;
}

/** The kernel translates GRE's keys for PPTP only, and not through ctnetlink: such a flow cannot be committed. */
export function isUntranslatable(words: Uint32Array): boolean {
  const orig = words[f.ORIG_PORTS];
  return f.l4protoOf(words[f.PROTO]) === f.IPPROTO_GRE && words[f.REPLY_PORTS] !== ((orig << 16) | (orig >>> 16)) >>> 0;
}

export function encodeNat(to: MessageWriter, words: Uint32Array): void {
  const l4proto = f.l4protoOf(words[f.PROTO]);
  const ports = words[f.REPLY_PORTS];
  const icmp = f.isIcmp(l4proto);
  const withPorts = icmp || hasPortsOrKeys(l4proto);
  encodeSide(to, cta.CTA_NAT_SRC, words, f.REPLY_DST, icmp ? ports >>> 16 : ports & 0xffff, withPorts);
  encodeSide(to, cta.CTA_NAT_DST, words, f.REPLY_SRC, icmp ? words[f.ORIG_PORTS] >>> 16 : ports >>> 16, withPorts);
}

const hasPortsOrKeys = (l4proto: number): boolean => f.hasPorts(l4proto) || l4proto === f.IPPROTO_GRE;

/** One address and one port: the lowest is the highest. */
function encodeSide(
  to: MessageWriter,
  type: number,
  words: Uint32Array,
  address: number,
  port: number,
  withPort: boolean,
): void {
  const nat = to.nest(type);
  if (f.familyOf(words[f.PROTO]) === 6) {
    to.address6(cta.CTA_NAT_V6_MINIP, words, address);
    to.address6(cta.CTA_NAT_V6_MAXIP, words, address);
  } else {
    to.u32(cta.CTA_NAT_V4_MINIP, words[address]);
    to.u32(cta.CTA_NAT_V4_MAXIP, words[address]);
  }
  if (withPort) {
    const proto = to.nest(cta.CTA_NAT_PROTO);
    to.u16(cta.CTA_PROTONAT_PORT_MIN, port);
    to.u16(cta.CTA_PROTONAT_PORT_MAX, port);
    to.unnest(proto);
  }
  to.unnest(nat);
}
