/**
 * Real conntrack entries of every kind in one namespace: packets of each protocol through rules that translate, mark,
 * label, help and zone them, and entries inserted whole, for what packets cannot bring about here.
 */
import { close } from "../../ffi/libc.ts";
import { openSocket, SOCK_DGRAM, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_INET, AF_INET6, inet6Address, inetAddress } from "../../ffi/socket-address.ts";
import * as f from "../../src/flow/flow.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";

export const RULES = `
table inet kernel-traffic {
  ct helper ftp-helper { type "ftp" protocol tcp; l3proto ip; }
  chain zones {
    type filter hook output priority -300;
    udp dport 7001 ct zone set 7
    udp dport 7002 ct original zone set 8
    udp dport 7003 ct reply zone set 9
  }
  chain output {
    type filter hook output priority 0;
    tcp dport 21 ct helper set "ftp-helper"
    udp dport 7004 ct mark set 0x2a
    udp dport 7005 ct label set 33
    ct state new accept
  }
  chain input { type filter hook input priority 0; ct state new accept; }
  chain translate-destination {
    type nat hook output priority -100;
    udp dport 7006 dnat ip to 127.0.0.1:7106
    ip6 nexthdr udp udp dport 7007 dnat ip6 to [::1]:7107
  }
  chain translate-source {
    type nat hook postrouting priority 100;
    ip protocol udp udp dport 7008 snat ip to 127.0.0.9:7108
    ip6 nexthdr udp udp dport 7009 snat ip6 to [::1]:7109
  }
}
`;

const LOOPBACK = 0x7f000001;
const LOOPBACK6 = [0, 0, 0, 1];

/** One packet each; raises new events, and updates where an answer comes back. */
export function sendPackets(namespace: Namespace): void {
  inside(namespace, () => {
    for (let port = 7001; port <= 7009; port++) {
      sendOne(SOCK_DGRAM, f.IPPROTO_UDP, port, new Uint8Array(8));
      sendOne6(SOCK_DGRAM, f.IPPROTO_UDP, port, new Uint8Array(8));
    }
    sendOne(SOCK_RAW, f.IPPROTO_ICMP, 0, Uint8Array.of(8, 0, 0xf7, 0xff - 0x4d, 0, 0x4d, 0, 0));
    sendOne(SOCK_RAW, 50, 0, new Uint8Array(16));
    sendOne6(SOCK_RAW, 50, 0, new Uint8Array(16));
    sendOne(SOCK_RAW, f.IPPROTO_GRE, 0, Uint8Array.of(0, 0, 8, 0));
    sendOne(SOCK_RAW, f.IPPROTO_GRE, 0, Uint8Array.of(0x30, 1, 0x88, 0x0b, 0, 0, 0, 5, 0, 0, 0, 0));
  });
}

/** Errors are left alone: a port nobody listens on answers too, and that is traffic like any other. */
function sendOne(type: number, protocol: number, port: number, payload: Uint8Array): void {
  const fd = openSocket(AF_INET, type, protocol);
  sendTo(fd, payload, payload.length, inetAddress(LOOPBACK, port));
  close(fd);
}

function sendOne6(type: number, protocol: number, port: number, payload: Uint8Array): void {
  const fd = openSocket(AF_INET6, type, protocol);
  sendTo(fd, payload, payload.length, inet6Address(LOOPBACK6, port));
  close(fd);
}

/** What a test says of a flow; the rest is as in a plain established one. Addresses are numbers below 10.0.0.0/8. */
export interface Wanted {
  readonly ipv6?: boolean;
  readonly l4proto: number;
  readonly source?: number;
  readonly destination?: number;
  readonly ports?: number;
  /** Reply tuple where it is not the mirror. */
  readonly replySource?: number;
  readonly replyDestination?: number;
  readonly replyPorts?: number;
  readonly zone?: number;
  readonly zoneDirection?: number;
  readonly status?: number;
  readonly mark?: number;
  readonly state?: number;
  readonly scales?: readonly [number, number];
  readonly tags?: readonly [number, number];
  readonly label?: number;
  readonly helper?: string;
  /** Source address and ports of the master, which is TCP to `DESTINATION`. */
  readonly master?: readonly [source: number, ports: number];
  readonly seqadj?: readonly number[];
  readonly synproxy?: readonly number[];
}

const DESTINATION = 2;
export const PORTS = f.portsWord(1000, 80);
const SEEN_REPLY_ASSURED_CONFIRMED = 0xe;

export function flowOf(wanted: Wanted): f.Flow {
  const flow = new f.Flow();
  const { words } = flow;
  const family = wanted.ipv6 ? 6 : 4;
  const address = (at: number, host: number): void => {
    if (wanted.ipv6) words.set([0x20010db8, 0, 0, host], at);
    else words[at] = 0x0a000000 + host;
  };
  const source = wanted.source ?? 1;
  const destination = wanted.destination ?? DESTINATION;
  const ports = wanted.ports ?? (f.hasPorts(wanted.l4proto) ? PORTS : 0);
  words[f.PROTO] = f.protoWord(family, wanted.l4proto, wanted.zone ?? 0, wanted.zoneDirection ?? f.ZONE_BOTH);
  address(f.ORIG_SRC, source);
  address(f.ORIG_DST, destination);
  address(f.REPLY_SRC, wanted.replySource ?? destination);
  address(f.REPLY_DST, wanted.replyDestination ?? source);
  words[f.ORIG_PORTS] = ports;
  words[f.REPLY_PORTS] = wanted.replyPorts ?? ((ports << 16) | (ports >>> 16)) >>> 0;
  words[f.STATUS] = wanted.status ?? SEEN_REPLY_ASSURED_CONFIRMED;
  words[f.TIMEOUT] = 300;
  words[f.MARK] = wanted.mark ?? 0;
  let has = f.HAS_REPLY | f.HAS_STATUS | f.HAS_TIMEOUT | f.HAS_MARK;
  if (f.hasPorts(wanted.l4proto) || f.isIcmp(wanted.l4proto) || wanted.l4proto === f.IPPROTO_GRE) has |= f.HAS_PORTS;
  words[f.HAS] = has | properties(words, wanted, address);
  return flow;
}

function properties(words: Uint32Array, wanted: Wanted, address: (at: number, host: number) => void): number {
  let has = 0;
  if (wanted.state !== undefined) {
    has |= f.HAS_STATE;
    words[f.INFO] = wanted.state;
  }
  if (wanted.scales !== undefined) {
    has |= f.HAS_WSCALE;
    words[f.INFO] |= (wanted.scales[0] << 8) | (wanted.scales[1] << 16);
  }
  if (wanted.tags !== undefined) {
    has |= f.HAS_VTAGS;
    words.set(wanted.tags, f.VTAG_ORIG);
  }
  if (wanted.label !== undefined) {
    has |= f.HAS_LABELS;
    words[f.LABELS + (wanted.label >> 5)] = (1 << (wanted.label & 31)) >>> 0;
  }
  if (wanted.helper !== undefined) {
    has |= f.HAS_HELPER;
    f.setHelperName(words, wanted.helper);
  }
  if (wanted.master !== undefined) {
    has |= f.HAS_MASTER | f.HAS_MASTER_PORTS;
    words[f.MASTER_PROTO] = f.protoWord(wanted.ipv6 ? 6 : 4, f.IPPROTO_TCP, 0, f.ZONE_BOTH);
    address(f.MASTER_SRC, wanted.master[0]);
    address(f.MASTER_DST, DESTINATION);
    words[f.MASTER_PORTS] = wanted.master[1];
  }
  if (wanted.seqadj !== undefined) {
    has |= f.HAS_SEQADJ;
    words.set(wanted.seqadj, f.SEQADJ);
  }
  if (wanted.synproxy !== undefined) {
    has |= f.HAS_SYNPROXY;
    words.set(wanted.synproxy, f.SYNPROXY);
  }
  return has;
}

/** Every protocol, NAT, zone and property, masters first. No two share a tuple. */
export const EVERY_KIND: readonly (readonly [name: string, wanted: Wanted])[] = [
  ["TCP with window scales and mark", { l4proto: 6, state: 3, scales: [7, 6], mark: 7 }],
  ["TCP that is closed", { l4proto: 6, source: 3, state: 8 }],
  ["TCP in TIME_WAIT, IPv6", { ipv6: true, l4proto: 6, source: 3, state: 7, scales: [14, 0] }],
  ["TCP that saw no reply", { l4proto: 6, source: 4, state: 1, status: 0x8 }],
  ["TCP, source NAT", { l4proto: 6, source: 5, replyDestination: 105, replyPorts: f.portsWord(80, 5555), state: 3 }],
  ["TCP, destination NAT", { l4proto: 6, source: 6, replySource: 106, replyPorts: f.portsWord(8080, 1000), state: 3 }],
  ["TCP, port translation only", { l4proto: 6, source: 7, replyPorts: f.portsWord(8080, 1000), state: 3 }],
  [
    "TCP, NAT both ways, IPv6",
    {
      ipv6: true,
      l4proto: 6,
      source: 8,
      replySource: 108,
      replyDestination: 109,
      replyPorts: f.portsWord(8080, 2222),
      state: 3,
      scales: [7, 7],
    },
  ],
  ["UDP", { l4proto: 17, source: 9 }],
  [
    "UDP, NAT both ways",
    { l4proto: 17, source: 10, replySource: 110, replyDestination: 111, replyPorts: f.portsWord(54, 3333) },
  ],
  ["UDP, source NAT, IPv6", { ipv6: true, l4proto: 17, source: 10, replyDestination: 112 }],
  ["SCTP", { l4proto: 132, source: 11, state: 4, tags: [0x11223344, 0xf5667788] }],
  [
    "SCTP, NAT of address and port",
    {
      l4proto: 132,
      source: 12,
      replySource: 113,
      replyDestination: 114,
      replyPorts: f.portsWord(81, 1111),
      state: 4,
      tags: [1, 2],
    },
  ],
  [
    "UDP-Lite, NAT of address and port",
    { l4proto: 136, source: 13, replySource: 115, replyPorts: f.portsWord(81, 1000) },
  ],
  ["GRE with keys", { l4proto: 47, source: 14, ports: f.portsWord(0, 5) }],
  ["GRE, source NAT", { l4proto: 47, source: 15, ports: f.portsWord(0, 6), replyDestination: 116 }],
  ["ESP, NAT both ways", { l4proto: 50, source: 16, replySource: 117, replyDestination: 118 }],
  ["ESP, IPv6", { ipv6: true, l4proto: 50, source: 16 }],
  ["ICMP echo", { l4proto: 1, source: 17, ports: f.icmpWord(77, 8, 0), replyPorts: f.icmpWord(77, 0, 0) }],
  [
    "ICMP echo, source NAT of address and id",
    { l4proto: 1, source: 18, ports: f.icmpWord(77, 8, 0), replyDestination: 119, replyPorts: f.icmpWord(78, 0, 0) },
  ],
  [
    "ICMPv6 echo, destination NAT",
    {
      ipv6: true,
      l4proto: 58,
      source: 18,
      ports: f.icmpWord(77, 128, 0),
      replySource: 120,
      replyPorts: f.icmpWord(77, 129, 0),
    },
  ],
  ["zone of both directions", { l4proto: 6, source: 19, zone: 5, state: 3 }],
  ["zone of the original direction", { l4proto: 6, source: 20, zone: 6, zoneDirection: f.ZONE_ORIG_ONLY, state: 3 }],
  ["zone of the reply direction", { l4proto: 6, source: 21, zone: 7, zoneDirection: f.ZONE_REPLY_ONLY, state: 3 }],
  ["label", { l4proto: 6, source: 22, label: 33, state: 3 }],
  ["helper", { l4proto: 6, source: 23, ports: f.portsWord(1000, 21), helper: "ftp", state: 3 }],
  ["master", { l4proto: 6, source: 24, ports: f.portsWord(2000, 3000), master: [1, PORTS], state: 3 }],
  [
    "master and source NAT",
    { l4proto: 6, source: 25, ports: f.portsWord(2000, 3000), replyDestination: 121, master: [1, PORTS], state: 3 },
  ],
  ["sequence adjustment", { l4proto: 6, source: 26, seqadj: [100, 0, 5, 200, 0xfffffffe, 7], state: 3 }],
  ["SYN proxy", { l4proto: 6, source: 27, synproxy: [1, 2, 3], state: 3 }],
];
