/**
 * An expectation as text: the line that conntrackd prints for one in a cache, field for field, and an object for programs.
 *
 *   proto=6 src=… dst=… sport=0 dport=51234 mask-src=… mask-dst=… sport=0 dport=65535 master-src=… … class=0 helper=ftp
 *   [active since 5s]
 *
 * Source: the output of conntrackd 1.4.7, and of libnetfilter_conntrack's nfexp_snprintf(3) in its default form.
 */
import { addressText } from "./address.ts";
import {
  EXPECT_INACTIVE,
  EXPECT_PERMANENT,
  EXPECT_USERSPACE,
  type Expectation,
  type ExpectationTuple,
} from "./expectation.ts";
import { portsObject } from "./json.ts";
import { portsText, protocolName } from "./text.ts";

/** The expectation's line, without a line end. `ageSeconds`: since it entered the cache. */
export function expectationLine(expectation: Expectation, ageSeconds: number): string {
  const { master, expected, mask, flags } = expectation;
  const names = flagNames(flags);
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

function flagNames(flags: number): string[] {
  const names: string[] = [];
  if ((flags & EXPECT_PERMANENT) !== 0) names.push("PERMANENT");
  if ((flags & EXPECT_INACTIVE) !== 0) names.push("INACTIVE");
  if ((flags & EXPECT_USERSPACE) !== 0) names.push("USERSPACE");
  return names;
}

/** The expectation's object on one line, without a line end: what is not known is not said. */
export function expectationJson(expectation: Expectation, ageSeconds: number): string {
  const { expected, mask, master, nat } = expectation;
  return JSON.stringify({
    family: expected.family === 6 ? "ipv6" : "ipv4",
    protocol: protocolName(expected.l4proto),
    protocolNumber: expected.l4proto,
    expected: tupleObject(expected),
    mask: tupleObject(mask, expected.l4proto),
    master: { protocol: protocolName(master.l4proto), protocolNumber: master.l4proto, ...tupleObject(master) },
    ...(expectation.timeoutSeconds !== undefined && { timeoutSeconds: expectation.timeoutSeconds }),
    flags: flagNames(expectation.flags),
    class: expectation.class,
    ...(nat && { nat: { direction: nat.direction, ...tupleObject(nat.tuple) } }),
    ...(expectation.helper !== undefined && { helper: expectation.helper }),
    ...(expectation.expectfn !== undefined && { expectfn: expectation.expectfn }),
    activeSinceSeconds: ageSeconds,
  });
}

const tupleObject = (tuple: ExpectationTuple, l4proto = tuple.l4proto) => ({
  src: addressText(tuple.source, 0, tuple.family),
  dst: addressText(tuple.destination, 0, tuple.family),
  ...portsObject(l4proto, tuple.ports),
});
