/**
 * The takeover gate's table, as `nft list table inet ctsync` prints it:
 *
 *   table inet ctsync {
 *     flags owner
 *     comment "ctsync's takeover gate"
 *     counter held { … }                                                  packets it has dropped while it was shut
 *     counter unanswered { … }                                            and those that would have been answered with a reset
 *     set shut { type nf_proto; flags timeout; }                          ipv4 and ipv6 are in it while it is shut
 *     set mute { type nf_proto; flags timeout; }                          the same while nothing INVALID is answered
 *     set virtual4 { type ipv4_addr; } set virtual6 { type ipv6_addr; }
 *     chain stateless {
 *       tcp flags & (fin | syn | rst | ack) == syn return                 a connection's first packet
 *       log group 3780 snaplen 128 queue-threshold 1                      where somebody reads it (packet-log.ts)
 *       counter name "held" drop
 *     }
 *     chain forward { type filter hook forward priority raw; policy accept;
 *       ct state new,invalid meta nfproto @shut goto stateless
 *     }
 *     chain input { type filter hook input priority raw; policy accept;
 *       ct state new,invalid iifname != "lo" meta nfproto @shut ip daddr @virtual4 goto stateless
 *       …                                                       ip6 daddr @virtual6 goto stateless
 *       ct state invalid iifname != "lo" meta nfproto @mute meta l4proto tcp ip daddr @virtual4 counter name "unanswered" drop
 *       …                                                                    ip6 daddr @virtual6 counter name "unanswered" drop
 *     }
 *   }
 *
 * The elements of `shut` and `mute` run out by themselves: whatever becomes of the daemon, its absence means open (D-010).
 * Dropped in these hooks, a packet is answered by nobody, and the entry that the kernel began for it is never confirmed.
 */
import {
  compare,
  count,
  ctState,
  isIn,
  KEY_IFNAME,
  KEY_IPV4,
  KEY_IPV6,
  KEY_NFPROTO,
  log,
  META_IIFNAME,
  META_L4PROTO,
  META_NFPROTO,
  mask,
  meta,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_GOTO,
  NFT_RETURN,
  NFT_SET_TIMEOUT,
  NftBatch,
  PAYLOAD_NETWORK,
  PAYLOAD_TRANSPORT,
  PRIORITY_RAW,
  payload,
  verdict,
} from "./nftables.ts";
import { SNAPLEN_BYTES } from "./packet-log.ts";

export const GATE_TABLE = "ctsync";
export const GATE_COMMENT = "ctsync's takeover gate";
export const HELD_COUNTER = "held";
export const UNANSWERED_COUNTER = "unanswered";
/** What is in force while its elements are there. */
export type GateSet = "shut" | "mute";

const IPPROTO_TCP = 6;
const TCP_FLAGS_AT = 13;
const [FIN, SYN, RST, ACK] = [0x01, 0x02, 0x04, 0x10] as const;
/** NF_CT_STATE_INVALID_BIT; little-endian, as on every target. */
const INVALID = [0x01, 0, 0, 0];
/** And the bit of IP_CT_NEW. */
const NEW_OR_INVALID = [0x08 | 0x01, 0, 0, 0];
const NO_BIT = [0, 0, 0, 0];

export interface GateScope {
  /** The virtual addresses, as bytes of the packet. */
  readonly virtual4: readonly ArrayLike<number>[];
  readonly virtual6: readonly ArrayLike<number>[];
  /** Forwarded packets that come in elsewhere are not looked at; none: all are. */
  readonly interfaces: readonly string[];
  /** Group of nfnetlink_log that hears what is held; 0: none. */
  readonly logGroup: number;
}

/** `replaces`: a table of ours that an earlier daemon left behind goes in the same moment. */
export function gateTable(scope: GateScope, flags: number, replaces: boolean): Uint8Array<ArrayBuffer> {
  const elements = scope.virtual4.length + scope.virtual6.length + scope.interfaces.length;
  const batch = new NftBatch(GATE_TABLE, elements);
  if (replaces) batch.deleteTable();
  batch.createTable(flags, GATE_COMMENT);
  batch.counter(HELD_COUNTER);
  batch.counter(UNANSWERED_COUNTER);
  batch.set("shut", 1, KEY_NFPROTO, NFT_SET_TIMEOUT);
  batch.set("virtual4", 2, KEY_IPV4);
  batch.elements("virtual4", scope.virtual4);
  batch.set("virtual6", 3, KEY_IPV6);
  batch.elements("virtual6", scope.virtual6);
  batch.set("mute", 5, KEY_NFPROTO, NFT_SET_TIMEOUT);
  batch.chain("stateless");
  batch.chain("forward", NF_INET_FORWARD, PRIORITY_RAW);
  batch.chain("input", NF_INET_LOCAL_IN, PRIORITY_RAW);

  batch.rule(
    "stateless",
    ...[meta(META_L4PROTO), compare("equal", [IPPROTO_TCP])],
    ...[payload(PAYLOAD_TRANSPORT, TCP_FLAGS_AT, 1), mask([FIN | SYN | RST | ACK]), compare("equal", [SYN])],
    verdict(NFT_RETURN),
  );
  const logged = scope.logGroup > 0 ? [log(scope.logGroup, SNAPLEN_BYTES)] : [];
  batch.rule("stateless", ...logged, count(HELD_COUNTER), verdict(NF_DROP));

  const stateless = [ctState(), mask(NEW_OR_INVALID), compare("unequal", NO_BIT)];
  const isShut = [meta(META_NFPROTO), isIn("shut")];
  const entering = scope.interfaces.length > 0 ? [meta(META_IIFNAME), isIn("interfaces")] : [];
  if (entering.length > 0) {
    batch.set("interfaces", 4, KEY_IFNAME);
    batch.elements("interfaces", scope.interfaces.map(interfaceKey));
  }
  batch.rule("forward", ...stateless, ...entering, ...isShut, verdict(NFT_GOTO, "stateless"));

  const fromOutside = [meta(META_IIFNAME), compare("unequal", interfaceKey("lo"))];
  const isVirtual = [
    { family: NFPROTO_IPV4, at: 16, lengthBytes: 4, set: "virtual4" },
    { family: NFPROTO_IPV6, at: 24, lengthBytes: 16, set: "virtual6" },
  ].map(({ family, at, lengthBytes, set }) => [
    ...[meta(META_NFPROTO), compare("equal", [family])],
    ...[payload(PAYLOAD_NETWORK, at, lengthBytes), isIn(set)],
  ]);
  for (const addressed of isVirtual)
    batch.rule("input", ...stateless, ...fromOutside, ...isShut, ...addressed, verdict(NFT_GOTO, "stateless"));

  const invalid = [ctState(), mask(INVALID), compare("unequal", NO_BIT)];
  const isMute = [meta(META_NFPROTO), isIn("mute"), meta(META_L4PROTO), compare("equal", [IPPROTO_TCP])];
  for (const addressed of isVirtual)
    batch.rule(
      "input",
      ...[...invalid, ...fromOutside, ...isMute, ...addressed],
      ...[count(UNANSWERED_COUNTER), verdict(NF_DROP)],
    );
  return batch.finish();
}

/** In force for so long from now on, whether it was before or not. */
export function fillGate(set: GateSet, forMs: number): Uint8Array<ArrayBuffer> {
  const batch = new NftBatch(GATE_TABLE);
  batch.flush(set);
  batch.elements(set, [[NFPROTO_IPV4], [NFPROTO_IPV6]], forMs);
  return batch.finish();
}

export function emptyGate(set: GateSet): Uint8Array<ArrayBuffer> {
  const batch = new NftBatch(GATE_TABLE);
  batch.flush(set);
  return batch.finish();
}

export function removeGate(): Uint8Array<ArrayBuffer> {
  const batch = new NftBatch(GATE_TABLE);
  batch.deleteTable();
  return batch.finish();
}

function interfaceKey(name: string): Uint8Array {
  const key = new Uint8Array(KEY_IFNAME.lengthBytes);
  key.set(Buffer.from(name).subarray(0, KEY_IFNAME.lengthBytes - 1));
  return key;
}
