/**
 * An expectation as the ctnetlink request that makes the kernel hold it, or that sets its timer: the reverse of
 * decode-expectation.ts. The kernel gives a new one the time that its helper gives, whatever the request says; only a
 * request about one that stands changes that.
 */
import type { Expectation, ExpectationTuple } from "../flow/expectation.ts";
import { protoWord, ZONE_BOTH } from "../flow/flow.ts";
import { encodeTuple } from "./encode-tuple.ts";
import * as cta from "./expectation-attributes.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AF_INET, AF_INET6 } from "./netlink.ts";

const words = new Uint32Array(new ArrayBuffer(9 * 4));

export const addressFamilyOfExpectation = (expectation: Expectation): number =>
  expectation.expected.family === 6 ? AF_INET6 : AF_INET;

export function encodeNewExpectation(to: MessageWriter, expectation: Expectation): void {
  const { nat, helper, expectfn } = expectation;
  encodeTimer(to, expectation);
  to.u32(cta.CTA_EXPECT_FLAGS, expectation.flags);
  to.u32(cta.CTA_EXPECT_CLASS, expectation.class);
  if (nat !== undefined) {
    const nest = to.nest(cta.CTA_EXPECT_NAT);
    to.u32(cta.CTA_EXPECT_NAT_DIR, nat.direction === "orig" ? 0 : 1);
    tuple(to, cta.CTA_EXPECT_NAT_TUPLE, nat.tuple);
    to.unnest(nest);
  }
  if (helper !== undefined) to.text(cta.CTA_EXPECT_HELP_NAME, helper);
  if (expectfn !== undefined) to.text(cta.CTA_EXPECT_FN, expectfn);
}

/** What names the expectation, and the time that it has left. */
export function encodeTimer(to: MessageWriter, { master, expected, mask, timeoutSeconds }: Expectation): void {
  tuple(to, cta.CTA_EXPECT_MASTER, master);
  tuple(to, cta.CTA_EXPECT_TUPLE, expected);
  tuple(to, cta.CTA_EXPECT_MASK, mask);
  if (timeoutSeconds !== undefined) to.u32(cta.CTA_EXPECT_TIMEOUT, timeoutSeconds);
}

function tuple(
  to: MessageWriter,
  type: number,
  { family, source, destination, l4proto, ports }: ExpectationTuple,
): void {
  words.set(source);
  words.set(destination, 4);
  words[8] = ports;
  encodeTuple(to, type, words, 0, protoWord(family, l4proto, 0, ZONE_BOTH), ZONE_BOTH);
}
