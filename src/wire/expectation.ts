/**
 * Expectation messages (types 3-5): a connection that a helper announced and the kernel waits for.
 *
 * An expectation names its master (the connection the helper watches), the tuple that is expected, and a mask saying
 * which parts of that tuple count. Behind NAT it also has the tuple to translate back to, and a direction. They are few,
 * so each becomes an object. An IPv6 NAT tuple comes without addresses, as the format has no attribute for them.
 * Source: conntrackd's synchronisation protocol, version 1, sections 6 and 8.
 */
import { addressText } from "../flow/address.ts";
import { hasPorts, IPPROTO_UDPLITE } from "../flow/flow.ts";
import { portsText } from "../flow/text.ts";
import { AttributeScan } from "./attributes.ts";
import { HEADER_BYTES } from "./header.ts";

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
/** The master, the expected tuple and the mask take four ids each: the first is for IPv4 addresses, then come these. */
const IPV6_OFFSET = 1;
const L4PROTO_OFFSET = 2;
const PORTS_OFFSET = 3;

/** Payload bytes by attribute id; negative: at most so many. */
const EXPECTATION_PAYLOAD_BYTES: readonly number[] = [
  8, 32, 1, 4, 8, 32, 1, 4, 8, 32, 1, 4, 4, 4, 4, 8, 4, 1, 4, -12, -28,
];

const EXPECT_PERMANENT = 1;
const EXPECT_INACTIVE = 2;
const EXPECT_USERSPACE = 4;

/** One tuple, or a mask of one. Addresses are four 32-bit words, of which IPv4 uses the first. */
export interface ExpectationTuple {
  readonly family: 4 | 6;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly l4proto: number;
  /** Source port in the high half, destination port in the low one. */
  readonly ports: number;
}

export interface Expectation {
  readonly master: ExpectationTuple;
  readonly expected: ExpectationTuple;
  readonly mask: ExpectationTuple;
  /** Absent when the sender commits with a timeout of its own. */
  readonly timeoutSeconds?: number;
  /** EXPECT_… bits. */
  readonly flags: number;
  readonly class: number;
  readonly nat?: { readonly tuple: ExpectationTuple; readonly direction: "orig" | "reply" };
  readonly helper?: string;
  /** Name of the kernel function that sets the expected connection up. */
  readonly expectfn?: string;
}

const found = new AttributeScan(EXPECTATION_PAYLOAD_BYTES);

/** "badPayload" and "incomplete" as in `decodeFlow`: unreadable, or readable but naming no expectation. */
export function decodeExpectation(
  view: DataView,
  at: number,
  lengthBytes: number,
): Expectation | "badPayload" | "incomplete" {
  if (!found.scan(view, at + HEADER_BYTES, at + lengthBytes)) return "badPayload";
  const helper = readString(view, EXP_HELPER);
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
  const at = family === 4 && found.has(EXP_NAT_IPV4) ? found.payloadAt(EXP_NAT_IPV4) : undefined;
  return {
    tuple: {
      family,
      source: at === undefined ? [0, 0, 0, 0] : readAddress(view, at, false),
      destination: at === undefined ? [0, 0, 0, 0] : readAddress(view, at + 4, false),
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

/** conntrackd's line for a cached expectation, without a line end. `ageSeconds`: since it entered the cache. */
export function expectationLine(expectation: Expectation, ageSeconds: number): string {
  const { master, expected, mask, flags } = expectation;
  const names: string[] = [];
  if ((flags & EXPECT_PERMANENT) !== 0) names.push("PERMANENT");
  if ((flags & EXPECT_INACTIVE) !== 0) names.push("INACTIVE");
  if ((flags & EXPECT_USERSPACE) !== 0) names.push("USERSPACE");
  return [
    `proto=${expected.l4proto} ${tupleText(expected, "", expected.l4proto)}`,
    tupleText(mask, "mask-", expected.l4proto),
    tupleText(master, "master-", master.l4proto),
    ...(names.length > 0 ? [names.join(",")] : []),
    `class=${expectation.class}`,
    ...(expectation.helper !== undefined ? [`helper=${expectation.helper}`] : []),
    `[active since ${ageSeconds}s]`,
  ].join(" ");
}

const tupleText = (tuple: ExpectationTuple, prefix: string, l4proto: number): string =>
  `${prefix}src=${addressText(tuple.source, 0, tuple.family)} ` +
  `${prefix}dst=${addressText(tuple.destination, 0, tuple.family)}${portsText(l4proto, tuple.ports)}`;
