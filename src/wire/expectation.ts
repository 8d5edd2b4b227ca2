/**
 * Expectation messages (types 3-5), read and written: byte for byte as conntrackd 1.4.7 builds them.
 *
 * An IPv6 NAT tuple has no addresses, and a helper's name has 11 characters at most, as the format has no place for more;
 * an extended peer is sent those in attributes of our own.
 * Source: conntrackd's synchronisation protocol, version 1, sections 6 and 8.
 */
import type { Expectation, ExpectationTuple } from "../flow/expectation.ts";
import { hasPorts, IPPROTO_UDPLITE } from "../flow/flow.ts";
import { AttributeScan, payloadTable } from "./attributes.ts";
import { HEADER_BYTES } from "./header.ts";
import { putAddressPair, putAttributeHeader, putUint8, putUint32 } from "./put.ts";

const EXP_MASTER = 0;
const EXP_EXPECTED = 4;
const EXP_MASK = 8;
const EXP_TIMEOUT = 12;
const EXP_FLAGS = 13;
const EXP_CLASS = 14;
const EXP_NAT_IPV4 = 15;
const EXP_NAT_PORTS = 16;
const EXP_NAT_L4PROTO = 17;
const EXP_NAT_DIR = 18;
const EXP_HELPER = 19;
const EXP_FN = 20;
/** Characters that fit the attributes, besides the terminating zero. */
const HELPER_MAX_CHARACTERS = 11;
const FN_MAX_CHARACTERS = 27;
/** The master, the expected tuple and the mask take four ids each: the first is for IPv4 addresses, then come these. */
const IPV6_OFFSET = 1;
const L4PROTO_OFFSET = 2;
const PORTS_OFFSET = 3;

/** For an extended peer: the addresses of an IPv6 NAT tuple, a helper's name of 12 to 15 characters. */
const EXP_EXT_NAT_IPV6 = 64;
const EXP_EXT_HELPER = 65;
const EXPECTATION_PAYLOAD_BYTES = payloadTable(
  [8, 32, 1, 4, 8, 32, 1, 4, 8, 32, 1, 4, 4, 4, 4, 8, 4, 1, 4, -12, -28],
  [32, -16],
);

const found = new AttributeScan(EXPECTATION_PAYLOAD_BYTES);

/** "badPayload" and "incomplete" as in `decodeFlow`: unreadable, or readable but naming no expectation. */
export function decodeExpectation(
  view: DataView,
  at: number,
  lengthBytes: number,
  extended = false,
): Expectation | "badPayload" | "incomplete" {
  if (!found.scan(view, at + HEADER_BYTES, at + lengthBytes, extended)) return "badPayload";
  const helper = readString(view, found.has(EXP_EXT_HELPER) ? EXP_EXT_HELPER : EXP_HELPER);
  const expectfn = readString(view, EXP_FN);
  if (helper === null || expectfn === null) return "badPayload";
  const master = readTuple(view, EXP_MASTER);
  const expected = readTuple(view, EXP_EXPECTED);
  const mask = readTuple(view, EXP_MASK);
  if (master === undefined || expected === undefined || mask === undefined) return "incomplete";
  if (expected.family !== master.family || mask.family !== master.family) return "incomplete";
  const nat = readNat(view, expected.family);
  return {
    master,
    expected,
    mask,
    ...(found.has(EXP_TIMEOUT) && { timeoutSeconds: found.uint32(view, EXP_TIMEOUT) }),
    flags: found.uint32(view, EXP_FLAGS),
    class: found.uint32(view, EXP_CLASS),
    ...(nat && { nat }),
    ...(helper !== undefined && { helper }),
    ...(expectfn !== undefined && { expectfn }),
  };
}

/** Undefined without addresses of one family, protocol, or the ports that go with the protocol. */
function readTuple(view: DataView, first: number): ExpectationTuple | undefined {
  const ipv6 = found.has(first + IPV6_OFFSET);
  if (ipv6 === found.has(first) || !found.has(first + L4PROTO_OFFSET)) return undefined;
  const l4proto = found.uint8(view, first + L4PROTO_OFFSET);
  const portsNeeded = hasPorts(l4proto) && l4proto !== IPPROTO_UDPLITE;
  if (portsNeeded && !found.has(first + PORTS_OFFSET)) return undefined;
  const at = found.payloadAt(ipv6 ? first + IPV6_OFFSET : first);
  return {
    family: ipv6 ? 6 : 4,
    source: readAddress(view, at, ipv6),
    destination: readAddress(view, at + (ipv6 ? 16 : 4), ipv6),
    l4proto,
    ports: found.uint32(view, first + PORTS_OFFSET),
  };
}

function readAddress(view: DataView, at: number, ipv6: boolean): readonly number[] {
  if (!ipv6) return [view.getUint32(at), 0, 0, 0];
  return [view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12)];
}

/** The NAT tuple counts once its protocol is there. Its addresses are 0 when they were not sent. */
function readNat(view: DataView, family: 4 | 6): Expectation["nat"] {
  if (!found.has(EXP_NAT_L4PROTO)) return undefined;
  const ipv6 = family === 6;
  const id = ipv6 ? EXP_EXT_NAT_IPV6 : EXP_NAT_IPV4;
  const at = found.has(id) ? found.payloadAt(id) : undefined;
  return {
    tuple: {
      family,
      source: at === undefined ? [0, 0, 0, 0] : readAddress(view, at, ipv6),
      destination: at === undefined ? [0, 0, 0, 0] : readAddress(view, at + (ipv6 ? 16 : 4), ipv6),
      l4proto: found.uint8(view, EXP_NAT_L4PROTO),
      ports: found.uint32(view, EXP_NAT_PORTS),
    },
    direction: found.uint32(view, EXP_NAT_DIR) === 0 ? "orig" : "reply",
  };
}

/** Undefined when absent; null when empty, not terminated or not printable. */
function readString(view: DataView, id: number): string | undefined | null {
  if (!found.has(id)) return undefined;
  let text = "";
  for (let i = 0; i < found.payloadBytes(id); i++) {
    const byte = view.getUint8(found.payloadAt(id) + i);
    if (byte === 0) return text === "" ? null : text;
    if (byte <= 0x20 || byte >= 0x7f) return null;
    text += String.fromCharCode(byte);
  }
  return null;
}

/**
 * Writes the attributes of `expectation` from `at + 8` on and returns the message's whole length in bytes, a multiple of 4;
 * the 8 bytes at `at` are left to `putHeader`. `view` has MESSAGE_MAX_BYTES from `at` on, which no expectation passes.
 */
export function encodeExpectation(expectation: Expectation, view: DataView, at: number, extended = false): number {
  const { master, nat, helper, expectfn } = expectation;
  // conntrackd asks the master's protocol whether any of the three tuples has ports.
  const ports = hasPorts(master.l4proto) && master.l4proto !== IPPROTO_UDPLITE;
  let end = putTuple(view, at + HEADER_BYTES, EXP_MASTER, master, ports);
  end = putTuple(view, end, EXP_EXPECTED, expectation.expected, ports);
  end = putTuple(view, end, EXP_MASK, expectation.mask, ports);
  if (expectation.timeoutSeconds !== undefined) end = putUint32(view, end, EXP_TIMEOUT, expectation.timeoutSeconds);
  end = putUint32(view, end, EXP_FLAGS, expectation.flags);
  end = putUint32(view, end, EXP_CLASS, expectation.class);
  if (nat !== undefined) end = putNat(view, end, nat);
  if (helper !== undefined && helper.length <= HELPER_MAX_CHARACTERS) end = putString(view, end, EXP_HELPER, helper);
  if (expectfn !== undefined && expectfn.length <= FN_MAX_CHARACTERS) end = putString(view, end, EXP_FN, expectfn);
  if (!extended) return end - at;
  if (nat?.tuple.family === 6) end = putAddresses(view, end, EXP_EXT_NAT_IPV6 - IPV6_OFFSET, nat.tuple);
  if (helper !== undefined && helper.length > HELPER_MAX_CHARACTERS) end = putString(view, end, EXP_EXT_HELPER, helper);
  return end - at;
}

function putTuple(view: DataView, at: number, first: number, tuple: ExpectationTuple, ports: boolean): number {
  at = putAddresses(view, at, first, tuple);
  at = putUint8(view, at, first + L4PROTO_OFFSET, tuple.l4proto);
  return ports ? putUint32(view, at, first + PORTS_OFFSET, tuple.ports) : at;
}

function putAddresses(view: DataView, at: number, idIpv4: number, tuple: ExpectationTuple): number {
  pair.set(tuple.source);
  pair.set(tuple.destination, 4);
  return putAddressPair(view, at, idIpv4, tuple.family, pair, 0, 4);
}
const pair = new Uint32Array(new ArrayBuffer(8 * 4));

function putNat(view: DataView, at: number, { tuple, direction }: NonNullable<Expectation["nat"]>): number {
  if (tuple.family === 4) at = putAddresses(view, at, EXP_NAT_IPV4, tuple);
  at = putUint8(view, at, EXP_NAT_L4PROTO, tuple.l4proto);
  at = putUint32(view, at, EXP_NAT_PORTS, tuple.ports);
  return putUint32(view, at, EXP_NAT_DIR, direction === "orig" ? 0 : 1);
}

/** With its terminating zero, and zeros up to a multiple of 4. */
function putString(view: DataView, at: number, id: number, text: string): number {
  putAttributeHeader(view, at, id, text.length + 1);
  const end = at + 4 + ((text.length + 4) & ~3);
  for (let i = 0; at + 4 + i < end; i++) view.setUint8(at + 4 + i, text.charCodeAt(i) & 0x7f);
  return end;
}
