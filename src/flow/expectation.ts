/**
 * An expectation: a connection that a helper announced and the kernel waits for, such as FTP's data connection.
 *
 * It names its master (the connection the helper watches), the tuple that is expected, and a mask saying which parts of
 * that tuple count. Behind NAT it also has the tuple to translate back to, and a direction. Expectations are few, so each
 * is an object; nothing changes one, a newer state is another object.
 */
import {
  type Flow,
  familyOf,
  HAS_MASTER,
  l4protoOf,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  protoWord,
  ZONE_BOTH,
} from "./flow.ts";

/** One tuple, or a mask of one. Addresses are four 32-bit words, of which IPv4 uses the first. */
export interface ExpectationTuple {
  readonly family: 4 | 6;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly l4proto: number;
  /** As a flow's ports word: source port in the high half, destination port in the low one; keys, id and type alike. */
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

/** NF_CT_EXPECT_… of linux/netfilter/nf_conntrack_common.h. */
export const EXPECT_PERMANENT = 1;
export const EXPECT_INACTIVE = 2;
export const EXPECT_USERSPACE = 4;

const tupleKey = ({ family, source, destination, l4proto, ports }: ExpectationTuple): string =>
  `${family} ${source.join()} ${destination.join()} ${l4proto} ${ports}`;

export const sameTuple = (a: ExpectationTuple, b: ExpectationTuple): boolean => tupleKey(a) === tupleKey(b);

/** What tells expectations apart: master, expected tuple and mask. The kernel holds no two that share all three. */
export const expectationKey = ({ master, expected, mask }: Expectation): string =>
  `${tupleKey(master)}|${tupleKey(expected)}|${tupleKey(mask)}`;

/** The same for all of one class that a helper expects of one connection: the kernel allows only so many of these. */
export const sessionKey = ({ master, class: kind }: Expectation): string => `${tupleKey(master)} ${kind}`;

/** Whether two of the same key say the same, but for the time that is left. */
export const sameExpectation = (a: Expectation, b: Expectation): boolean =>
  a.flags === b.flags &&
  a.class === b.class &&
  a.helper === b.helper &&
  a.expectfn === b.expectfn &&
  a.nat?.direction === b.nat?.direction &&
  (a.nat && tupleKey(a.nat.tuple)) === (b.nat && tupleKey(b.nat.tuple));

/** Whether the flow is the connection that is expected: it has that master, and of the tuple what the mask lets count. */
export function isExpected(flow: Flow, { master, expected, mask }: Expectation): boolean {
  const { words } = flow;
  if (words[MASTER_PORTS] !== master.ports || !flow.has(HAS_MASTER)) return false;
  if (l4protoOf(words[MASTER_PROTO]) !== master.l4proto || l4protoOf(words[PROTO]) !== expected.l4proto) return false;
  if (familyOf(words[PROTO]) !== expected.family || ((words[ORIG_PORTS] ^ expected.ports) & mask.ports) !== 0)
    return false;
  for (let i = 0; i < 4; i++) {
    if (words[MASTER_SRC + i] !== master.source[i] || words[MASTER_DST + i] !== master.destination[i]) return false;
    if (((words[ORIG_SRC + i] ^ expected.source[i]) & mask.source[i]) !== 0) return false;
    if (((words[ORIG_DST + i] ^ expected.destination[i]) & mask.destination[i]) !== 0) return false;
  }
  return true;
}

/** Names what the tuple names as a flow does; the kernel does not say in which zone it is. */
export function flowOfTuple({ family, source, destination, l4proto, ports }: ExpectationTuple, flow: Flow): void {
  const words = flow.words;
  flow.clear();
  words[PROTO] = protoWord(family, l4proto, 0, ZONE_BOTH);
  words.set(source, ORIG_SRC);
  words.set(destination, ORIG_DST);
  words[ORIG_PORTS] = ports;
}
