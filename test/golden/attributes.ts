/**
 * Attributes by name, as the recordings' fX-messages.jsonl and the worked examples give them, and what they mean: the
 * flow, or the expectation, that a decoder must make of them. Written apart from `src/wire`, so that one checks the other.
 */

import type { Expectation, ExpectationTuple } from "../../src/flow/expectation.ts";
import {
  Flow,
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_PORTS,
  HAS_SEQADJ,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  INFO,
  icmpWord,
  isIcmp,
  LABELS,
  MARK,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  setHelperName,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
  ZONE_BOTH,
} from "../../src/flow/flow.ts";
import { give, giveMaster } from "../make-flow.ts";

type Pair = readonly [string, string];
type Ports = readonly [number, number];

export interface Attributes {
  readonly orig_ipv4?: Pair;
  readonly orig_ipv6?: Pair;
  readonly status?: number;
  readonly l4proto?: number;
  readonly orig_ports?: Ports;
  readonly tcp_state?: number;
  readonly tcp_wscale_orig?: number;
  readonly tcp_wscale_reply?: number;
  readonly sctp_state?: number;
  readonly sctp_vtag_orig?: number;
  readonly sctp_vtag_reply?: number;
  readonly icmp_type?: number;
  readonly icmp_code?: number;
  readonly icmp_id?: number;
  readonly timeout?: number;
  readonly mark?: number;
  readonly master_ipv4?: Pair;
  readonly master_ipv6?: Pair;
  readonly master_l4proto?: number;
  readonly master_ports?: Ports;
  readonly snat_ipv4?: string;
  readonly snat_ipv6?: string;
  readonly dnat_ipv4?: string;
  readonly dnat_ipv6?: string;
  readonly snat_port?: number;
  readonly dnat_port?: number;
  readonly natseqadj?: readonly number[];
  readonly helper?: string;
  readonly labels?: { readonly words: number; readonly bits: readonly number[] };
  readonly synproxy?: readonly number[];
  readonly zone?: number;
  // Expectations only:
  readonly expect_ipv4?: Pair;
  readonly expect_ipv6?: Pair;
  readonly expect_l4proto?: number;
  readonly expect_ports?: Ports;
  readonly mask_ipv4?: Pair;
  readonly mask_ipv6?: Pair;
  readonly mask_l4proto?: number;
  readonly mask_ports?: Ports;
  readonly flags?: number;
  readonly class?: number;
  readonly nat_ipv4?: Pair;
  readonly nat_l4proto?: number;
  readonly nat_ports?: Ports;
  readonly nat_dir?: number;
  readonly expectfn?: string;
}

/** The flow a receiver knows after a CT_NEW with these attributes, before its reply tuple is derived. */
export function receivedFlow(attrs: Attributes): Flow {
  const flow = new Flow();
  const words = flow.words;
  const pair = attrs.orig_ipv4 ?? attrs.orig_ipv6;
  if (pair === undefined || attrs.l4proto === undefined) throw new Error("no flow without addresses and protocol");
  words[PROTO] = protoWord(attrs.orig_ipv6 ? 6 : 4, attrs.l4proto, attrs.zone ?? 0, ZONE_BOTH);
  words.set(addressWords(pair[0]), ORIG_SRC);
  words.set(addressWords(pair[1]), ORIG_DST);
  giveIfKnown(flow, HAS_PORTS, ORIG_PORTS, portsOf(attrs));
  giveIfKnown(flow, HAS_STATUS, STATUS, attrs.status);
  giveIfKnown(flow, HAS_TIMEOUT, TIMEOUT, attrs.timeout);
  giveIfKnown(flow, HAS_MARK, MARK, attrs.mark);
  giveIfKnown(flow, HAS_STATE, INFO, attrs.tcp_state ?? attrs.sctp_state);
  giveIfKnown(flow, HAS_VTAGS, VTAG_ORIG, attrs.sctp_vtag_orig);
  giveIfKnown(flow, HAS_VTAGS, VTAG_REPLY, attrs.sctp_vtag_reply);
  if (attrs.tcp_wscale_orig !== undefined && attrs.tcp_wscale_reply !== undefined) {
    words[INFO] += attrs.tcp_wscale_orig * 0x100 + attrs.tcp_wscale_reply * 0x10000;
    words[HAS] |= HAS_WSCALE;
  }
  setTranslation(flow, attrs);
  setMaster(flow, attrs);
  giveIfKnown(flow, HAS_SEQADJ, SEQADJ, attrs.natseqadj);
  giveIfKnown(flow, HAS_SYNPROXY, SYNPROXY, attrs.synproxy);
  if (attrs.helper !== undefined) {
    setHelperName(words, attrs.helper);
    words[HAS] |= HAS_HELPER;
  }
  if (attrs.labels !== undefined) {
    for (const bit of attrs.labels.bits) words[LABELS + Math.floor(bit / 32)] += 2 ** (bit % 32);
    words[HAS] |= HAS_LABELS;
  }
  return flow;
}

function portsOf(attrs: Attributes): number | undefined {
  if (attrs.icmp_type !== undefined) return icmpWord(attrs.icmp_id ?? 0, attrs.icmp_type, attrs.icmp_code ?? 0);
  return attrs.orig_ports && portsWord(...attrs.orig_ports);
}

/** For ICMP the ports that conntrackd sends mean nothing. */
function setTranslation(flow: Flow, attrs: Attributes): void {
  const { words } = flow;
  const snat = attrs.snat_ipv4 ?? attrs.snat_ipv6;
  const dnat = attrs.dnat_ipv4 ?? attrs.dnat_ipv6;
  giveIfKnown(flow, HAS_SNAT_ADDR, REPLY_DST, snat === undefined ? undefined : addressWords(snat));
  giveIfKnown(flow, HAS_DNAT_ADDR, REPLY_SRC, dnat === undefined ? undefined : addressWords(dnat));
  if (isIcmp(attrs.l4proto ?? 0)) return;
  if (attrs.snat_port !== undefined) words[HAS] |= HAS_SNAT_PORT;
  if (attrs.dnat_port !== undefined) words[HAS] |= HAS_DNAT_PORT;
  words[REPLY_PORTS] = portsWord(attrs.dnat_port ?? 0, attrs.snat_port ?? 0);
}

function setMaster(flow: Flow, attrs: Attributes): void {
  const pair = attrs.master_ipv4 ?? attrs.master_ipv6;
  if (pair === undefined || attrs.master_l4proto === undefined) return;
  const proto = protoWord(attrs.master_ipv6 ? 6 : 4, attrs.master_l4proto, 0, ZONE_BOTH);
  const ports = attrs.master_ports && portsWord(...attrs.master_ports);
  giveMaster(flow, proto, addressWords(pair[0]), addressWords(pair[1]), ports);
}

function giveIfKnown(flow: Flow, has: number, at: number, value: number | readonly number[] | undefined): void {
  if (value !== undefined) give(flow, has, at, ...[value].flat());
}

/** The expectation these attributes are. */
export function receivedExpectation(attrs: Attributes): Expectation {
  const master = tupleOf(attrs.master_ipv4, attrs.master_ipv6, attrs.master_l4proto, attrs.master_ports);
  const natPair: Pair = attrs.nat_ipv4 ?? ["0.0.0.0", "0.0.0.0"];
  return {
    master,
    expected: tupleOf(attrs.expect_ipv4, attrs.expect_ipv6, attrs.expect_l4proto, attrs.expect_ports),
    mask: tupleOf(attrs.mask_ipv4, attrs.mask_ipv6, attrs.mask_l4proto, attrs.mask_ports),
    ...(attrs.timeout !== undefined && { timeoutSeconds: attrs.timeout }),
    flags: attrs.flags ?? 0,
    class: attrs.class ?? 0,
    ...(attrs.nat_l4proto !== undefined && {
      nat: {
        tuple: { ...tupleOf(natPair, undefined, attrs.nat_l4proto, attrs.nat_ports), family: master.family },
        direction: attrs.nat_dir === 1 ? "reply" : "orig",
      },
    }),
    ...(attrs.helper !== undefined && { helper: attrs.helper }),
    ...(attrs.expectfn !== undefined && { expectfn: attrs.expectfn }),
  };
}

function tupleOf(ipv4: Pair | undefined, ipv6: Pair | undefined, l4proto = 0, ports: Ports = [0, 0]): ExpectationTuple {
  const pair = ipv4 ?? ipv6;
  if (pair === undefined) throw new Error("a tuple without addresses");
  return {
    family: ipv6 ? 6 : 4,
    source: addressWords(pair[0]),
    destination: addressWords(pair[1]),
    l4proto,
    ports: portsWord(...ports),
  };
}

/** Four 32-bit words of an address as text; IPv4 uses the first. No dotted form in IPv6: the recordings have none. */
export function addressWords(text: string): number[] {
  if (!text.includes(":")) return [text.split(".").reduce((word, octet) => word * 256 + Number(octet), 0), 0, 0, 0];
  const [head, tail] = text.split("::").map((part) => part.split(":").filter(Boolean));
  const groups = tail ? [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail] : head;
  const numbers = groups.map((group) => Number.parseInt(group, 16));
  return [0, 2, 4, 6].map((i) => numbers[i] * 0x10000 + numbers[i + 1]);
}
