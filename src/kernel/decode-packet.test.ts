/** Packets as a firewall sees them, whole and damaged. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  icmpWord,
  KEY_WORDS,
  portsWord,
  protoWord,
} from "../flow/flow.ts";
import { decodePacket } from "./decode-packet.ts";

const SOURCE = [10, 0, 0, 1];
const TARGET = [192, 0, 2, 5];
const SOURCE6 = [0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TARGET6 = [0x20, 1, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
const PORTS = [0x9c, 0x40, 0x01, 0xbb];
const AT = 3;

interface Header {
  /** Options of IPv4, or extension headers of IPv6 with the protocol of what follows each. */
  readonly more?: readonly number[];
  readonly fragment?: number;
  readonly next?: number;
}

const ipv4 = (l4proto: number, transport: readonly number[], { more = [], fragment = 0 }: Header = {}): number[] => [
  ...[0x45 + more.length / 4, 0, 0, 0, 0, 0, fragment >> 8, fragment & 0xff, 64, l4proto, 0, 0],
  ...[...SOURCE, ...TARGET, ...more, ...transport],
];

const ipv6 = (l4proto: number, transport: readonly number[], { more = [], next = l4proto }: Header = {}): number[] => [
  ...[0x60, 0, 0, 0, 0, transport.length, next, 64],
  ...[...SOURCE6, ...TARGET6, ...more, ...transport],
];

/** The tuple's words, or undefined; amid other bytes, all of them set, which must not be read. */
function decoded(packet: readonly number[]): number[] | undefined {
  const bytes = new Uint8Array(AT + packet.length + 8).fill(0xff);
  bytes.set(packet, AT);
  const words = new Uint32Array(64).fill(7);
  const found = decodePacket(new DataView(bytes.buffer), AT, AT + packet.length, words);
  expect([...words.subarray(KEY_WORDS)]).toEqual(Array(64 - KEY_WORDS).fill(7));
  return found ? [...words.subarray(0, KEY_WORDS)] : undefined;
}

const tuple4 = (l4proto: number, ports: number): number[] => [
  ...[protoWord(4, l4proto, 0, 0), 0x0a000001, 0, 0, 0, 0xc0000205, 0, 0, 0, ports],
];
const tuple6 = (l4proto: number, ports: number): number[] => [
  ...[protoWord(6, l4proto, 0, 0), 0x20010db8, 0x00010000, 0, 1, 0x20010db8, 0x00020000, 0, 5, ports],
];

test.each([
  ["TCP", IPPROTO_TCP],
  ["UDP", IPPROTO_UDP],
  ["UDP-Lite", IPPROTO_UDPLITE],
  ["SCTP", IPPROTO_SCTP],
  ["DCCP", IPPROTO_DCCP],
])("%s: addresses and ports, of both families, behind options and extension headers", (_, l4proto) => {
  const ports = portsWord(40_000, 443);
  expect(decoded(ipv4(l4proto, PORTS))).toEqual(tuple4(l4proto, ports));
  expect(decoded(ipv4(l4proto, [...PORTS, 1, 2, 3], { more: [7, 7, 7, 7, 8, 8, 8, 8] }))).toEqual(
    tuple4(l4proto, ports),
  );
  expect(decoded(ipv6(l4proto, PORTS))).toEqual(tuple6(l4proto, ports));
  const hopByHop = [43, 0, 0, 0, 0, 0, 0, 0];
  const routing = [60, 1, ...Array(14).fill(9)];
  const options = [51, 0, 0, 0, 0, 0, 0, 0];
  const authentication = [l4proto, 1, ...Array(10).fill(9)];
  const more = [...hopByHop, ...routing, ...options, ...authentication];
  expect(decoded(ipv6(l4proto, PORTS, { next: 0, more }))).toEqual(tuple6(l4proto, ports));
});

test("ICMP: questions and answers with their id; a message about another packet has no tuple", () => {
  const echo = (type: number): number[] => [type, 0, 0, 0, 0x12, 0x34, 0, 1];
  for (const type of [0, 8, 13, 14])
    expect(decoded(ipv4(IPPROTO_ICMP, echo(type)))).toEqual(tuple4(IPPROTO_ICMP, icmpWord(0x1234, type, 0)));
  for (const type of [128, 129])
    expect(decoded(ipv6(IPPROTO_ICMPV6, echo(type)))).toEqual(tuple6(IPPROTO_ICMPV6, icmpWord(0x1234, type, 0)));
  for (const type of [3, 5, 11]) expect(decoded(ipv4(IPPROTO_ICMP, echo(type)))).toBeUndefined();
  for (const type of [1, 2, 133, 135]) expect(decoded(ipv6(IPPROTO_ICMPV6, echo(type)))).toBeUndefined();
  expect(decoded(ipv4(IPPROTO_ICMPV6, echo(128)))).toBeUndefined();
});

test("GRE without keys and other protocols have addresses alone; PPTP's keys are not in one packet", () => {
  expect(decoded(ipv4(IPPROTO_GRE, [0, 0, 8, 0]))).toEqual(tuple4(IPPROTO_GRE, 0));
  expect(decoded(ipv4(IPPROTO_GRE, [0x20, 1, 0x88, 0x0b, 0, 0, 0, 7]))).toBeUndefined();
  expect(decoded(ipv4(50, []))).toEqual(tuple4(50, 0));
  expect(decoded(ipv6(50, [1, 2]))).toEqual(tuple6(50, 0));
});

test("no tuple of a fragment, of an unknown version, or where nothing follows", () => {
  for (const fragment of [0x2000, 0x0001, 0x3fff])
    expect(decoded(ipv4(IPPROTO_UDP, PORTS, { fragment }))).toBeUndefined();
  expect(decoded(ipv4(IPPROTO_UDP, PORTS, { fragment: 0x4000 }))).toBeDefined(); // May not be fragmented.
  expect(decoded(ipv6(IPPROTO_UDP, PORTS, { next: 44, more: [IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 1] }))).toBeUndefined();
  expect(decoded(ipv6(59, PORTS))).toBeUndefined();
  expect(decoded([0x55, ...ipv4(IPPROTO_UDP, PORTS).slice(1)])).toBeUndefined();
  expect(decoded([0x44, ...ipv4(IPPROTO_UDP, PORTS).slice(1)])).toBeUndefined();
  expect(decoded([])).toBeUndefined();
});

test("what is cut off before its ports has no tuple, wherever that is", () => {
  const icmp = [8, 0, 0, 0, 0x12, 0x34, 0, 1];
  const packets = [
    ...[IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP].map((l4proto) => ipv4(l4proto, PORTS)),
    ...[ipv4(IPPROTO_ICMP, icmp), ipv4(IPPROTO_GRE, [0, 0, 8, 0]), ipv4(IPPROTO_UDP, PORTS, { more: [1, 1, 1, 1] })],
    ...[ipv6(IPPROTO_TCP, PORTS), ipv6(IPPROTO_UDP, PORTS, { next: 60, more: [IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0] })],
  ];
  for (const packet of packets) {
    expect(decoded(packet)).toBeDefined();
    for (let length = 0; length < packet.length; length++) expect(decoded(packet.slice(0, length))).toBeUndefined();
  }
});

test("any bytes: no throw, nothing read past the end, nothing written past the tuple", () => {
  const start = fc.constantFrom<number[]>(
    [],
    [0x45],
    [0x4f],
    [0x60],
    ipv4(6, []),
    ipv6(0, []),
    ipv6(51, []),
    ipv6(60, []),
  );
  fc.assert(
    fc.property(start, fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 80 }), (first, rest) => {
      const packet = [...first, ...rest];
      // The same packet amid other bytes is the same to it: it does not look there.
      const bytes = Uint8Array.from(packet);
      const words = new Uint32Array(KEY_WORDS);
      const found = decodePacket(new DataView(bytes.buffer), 0, packet.length, words);
      expect(decoded(packet)).toEqual(found ? [...words] : undefined);
    }),
    { numRuns: 3_000 },
  );
});
