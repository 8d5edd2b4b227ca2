/**
 * One flow, unpacked: what every decoder fills and every encoder, text form and cache reads.
 *
 * A `Flow` is a fixed array of 64 32-bit words, made once and reused; nothing on the hot path makes another.
 * All words are plain numbers: an IPv4 address 10.0.0.1 is 0x0a000001 in the first of its four words (the other three
 * are 0), an IPv6 address is its four 32-bit groups in order. A word whose HAS bit is clear is 0, unless said otherwise.
 *
 *   word   0        PROTO    bits 0-15 zone, 16-23 IP protocol, 24-27 family (4 or 6), 28-29 zone direction
 *          1-4 5-8  ORIG_SRC, ORIG_DST
 *          9        ORIG_PORTS   two 16-bit halves, see below
 *         10-13 14-17 18         REPLY_SRC, REPLY_DST, REPLY_PORTS
 *         19        HAS      which of the following are known (HAS_… bits)
 *         20-22     STATUS (kernel's IPS_… bits), TIMEOUT (seconds), MARK
 *         23        INFO     bits 0-7 TCP, SCTP or DCCP state, 8-15 and 16-23 window scale (orig, reply) or 8-15 DCCP role
 *         24 25     VTAG_ORIG, VTAG_REPLY  (SCTP verification tags)
 *         26-29     LABELS   label n is bit n % 32 of word n / 32
 *         30-33     HELPER   name in ASCII, big-endian within each word, padded with zeros; at most 15 characters
 *         34        MASTER_PROTO  as PROTO (zone unused), 35-38 39-42 43 MASTER_SRC, MASTER_DST, MASTER_PORTS
 *         44-49     SEQADJ   orig: position, offset before, offset after; then reply (offsets signed)
 *         50-52     SYNPROXY its, isn, tsoff
 *
 * Ports halves (high, low): TCP, UDP, UDP-Lite, SCTP, DCCP: source, destination port; GRE: source, destination key;
 * ICMP, ICMPv6: id, then type * 256 + code; every other protocol: 0.
 * PROTO, ORIG_SRC, ORIG_DST and ORIG_PORTS (words 0-9) are the flow's identity.
 */
export const PROTO = 0;
export const ORIG_SRC = 1;
export const ORIG_DST = 5;
export const ORIG_PORTS = 9;
export const REPLY_SRC = 10;
export const REPLY_DST = 14;
export const REPLY_PORTS = 18;
export const HAS = 19;
export const STATUS = 20;
export const TIMEOUT = 21;
export const MARK = 22;
export const INFO = 23;
export const VTAG_ORIG = 24;
export const VTAG_REPLY = 25;
export const LABELS = 26;
export const HELPER = 30;
export const MASTER_PROTO = 34;
export const MASTER_SRC = 35;
export const MASTER_DST = 39;
export const MASTER_PORTS = 43;
export const SEQADJ = 44;
export const SYNPROXY = 50;
export const FLOW_WORDS = 64;

export const KEY_WORDS = 10;
/** Words from here on are rare: a cache keeps them beside the record, only for flows that have them. */
export const RARE_FROM = 26;
export const RARE_WORDS = 27;

export const HAS_STATUS = 1 << 0;
export const HAS_TIMEOUT = 1 << 1;
export const HAS_MARK = 1 << 2;
/** TCP, SCTP or DCCP state. */
export const HAS_STATE = 1 << 3;
/** TCP window scales of both directions. */
export const HAS_WSCALE = 1 << 4;
export const HAS_VTAGS = 1 << 5;
/** Of a received flow: the reply destination (resp. source, and their ports) came as a NAT attribute. A flow of our own
 * kernel carries its whole reply tuple (HAS_REPLY) and none of these four. */
export const HAS_SNAT_ADDR = 1 << 6;
export const HAS_DNAT_ADDR = 1 << 7;
export const HAS_SNAT_PORT = 1 << 8;
export const HAS_DNAT_PORT = 1 << 9;
export const HAS_LABELS = 1 << 10;
export const HAS_HELPER = 1 << 11;
export const HAS_MASTER = 1 << 12;
export const HAS_MASTER_PORTS = 1 << 13;
export const HAS_SEQADJ = 1 << 14;
export const HAS_SYNPROXY = 1 << 15;
/** The reply tuple came as a whole, from the kernel or an extended peer; else it is derived from orig and NAT (`deriveReply`). */
export const HAS_REPLY = 1 << 16;
export const HAS_PORTS = 1 << 17;
/** Of a TCP flow of our own kernel: it does not check the windows of either direction. Nobody is told. */
export const HAS_LIBERAL = 1 << 18;

export const HAS_RARE = HAS_LABELS | HAS_HELPER | HAS_MASTER | HAS_SEQADJ | HAS_SYNPROXY;
export const HAS_NAT = HAS_SNAT_ADDR | HAS_DNAT_ADDR | HAS_SNAT_PORT | HAS_DNAT_PORT;

export const ZONE_BOTH = 0;
export const ZONE_ORIG_ONLY = 1;
export const ZONE_REPLY_ONLY = 2;

export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_DCCP = 33;
export const IPPROTO_GRE = 47;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;

export class Flow {
  readonly words = new Uint32Array(new ArrayBuffer(FLOW_WORDS * 4));

  clear(): void {
    this.words.fill(0);
  }

  copyFrom(other: Flow): void {
    this.words.set(other.words);
  }

  get family(): 4 | 6 {
    return ((this.words[PROTO] >>> 24) & 0xf) === 6 ? 6 : 4;
  }

  get l4proto(): number {
    return (this.words[PROTO] >>> 16) & 0xff;
  }

  get zone(): number {
    return this.words[PROTO] & 0xffff;
  }

  get zoneDirection(): number {
    return (this.words[PROTO] >>> 28) & 3;
  }

  has(bits: number): boolean {
    return (this.words[HAS] & bits) === bits;
  }

  /** TCP, SCTP or DCCP state, in the kernel's numbering. */
  get state(): number {
    return this.words[INFO] & 0xff;
  }
}

/** Zone 0 is no zone, whatever the direction: to the kernel, which never names it, that is one flow and not three. */
export const protoWord = (family: number, l4proto: number, zone: number, zoneDirection: number): number =>
  (((zone === 0 ? ZONE_BOTH : zoneDirection) << 28) | (family << 24) | (l4proto << 16) | zone) >>> 0;
export const familyOf = (proto: number): number => (proto >>> 24) & 0xf;
export const l4protoOf = (proto: number): number => (proto >>> 16) & 0xff;

/** Protocols whose tuple has a source and a destination port. */
export const hasPorts = (l4proto: number): boolean =>
  l4proto === IPPROTO_TCP ||
  l4proto === IPPROTO_UDP ||
  l4proto === IPPROTO_SCTP ||
  l4proto === IPPROTO_DCCP ||
  l4proto === IPPROTO_UDPLITE;
export const isIcmp = (l4proto: number): boolean => l4proto === IPPROTO_ICMP || l4proto === IPPROTO_ICMPV6;

export const portsWord = (high: number, low: number): number => ((high << 16) | low) >>> 0;
export const icmpWord = (id: number, type: number, code: number): number => ((id << 16) | (type << 8) | code) >>> 0;

export function helperName(words: Uint32Array): string {
  let name = "";
  for (let i = 0; i < 16; i++) {
    const byte = (words[HELPER + (i >> 2)] >>> (24 - (i & 3) * 8)) & 0xff;
    if (byte === 0) break;
    name += String.fromCharCode(byte);
  }
  return name;
}

/** Stores a helper's name, cut to 15 characters. */
export function setHelperName(words: Uint32Array, name: string): void {
  words.fill(0, HELPER, HELPER + 4);
  const length = Math.min(name.length, 15);
  for (let i = 0; i < length; i++) words[HELPER + (i >> 2)] |= (name.charCodeAt(i) & 0x7f) << (24 - (i & 3) * 8);
}
