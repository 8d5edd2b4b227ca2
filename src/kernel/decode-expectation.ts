/**
 * Decodes one ctnetlink message about an expectation, an event or a dumped entry. They are few: each becomes an object.
 * Nothing outside the message is read; what lies about a length or lacks a tuple is answered with undefined.
 * The kernel does not say in which zone the master is.
 */
import type { Expectation, ExpectationTuple } from "../flow/expectation.ts";
import { CTNETLINK_HEADER_BYTES, FAMILY_AT } from "./ctnetlink-attributes.ts";
import { decodeTuple, TUPLE_HAS_PROTOCOL, tupleProtocol } from "./decode-tuple.ts";
import * as cta from "./expectation-attributes.ts";
import { AF_INET, AF_INET6, ATTRIBUTE_HEADER_BYTES, attributeEnd, attributeType, nextAttribute } from "./netlink.ts";

interface Span {
  readonly at: number;
  readonly end: number;
}

const words = new Uint32Array(new ArrayBuffer(9 * 4));

/** The caller guarantees `at + CTNETLINK_HEADER_BYTES <= end`, where `end` is the end of this very message. */
export function decodeExpectationMessage(view: DataView, at: number, end: number): Expectation | undefined {
  const addressFamily = view.getUint8(at + FAMILY_AT);
  if (addressFamily !== AF_INET && addressFamily !== AF_INET6) return undefined;
  const family = addressFamily === AF_INET6 ? 6 : 4;
  const found = spansIn(view, at + CTNETLINK_HEADER_BYTES, end);
  if (found === undefined) return undefined;
  const master = tupleIn(view, found.get(cta.CTA_EXPECT_MASTER), family);
  const expected = tupleIn(view, found.get(cta.CTA_EXPECT_TUPLE), family);
  const mask = tupleIn(view, found.get(cta.CTA_EXPECT_MASK), family);
  if (master === undefined || expected === undefined || mask === undefined) return undefined;
  const timeoutSeconds = wordIn(view, found.get(cta.CTA_EXPECT_TIMEOUT));
  const nat = natIn(view, found.get(cta.CTA_EXPECT_NAT), family);
  const helper = textIn(view, found.get(cta.CTA_EXPECT_HELP_NAME));
  const expectfn = textIn(view, found.get(cta.CTA_EXPECT_FN));
  return {
    master,
    expected,
    mask,
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    flags: wordIn(view, found.get(cta.CTA_EXPECT_FLAGS)) ?? 0,
    class: wordIn(view, found.get(cta.CTA_EXPECT_CLASS)) ?? 0,
    ...(nat && { nat }),
    ...(helper !== "" && { helper }),
    ...(expectfn !== "" && { expectfn }),
  };
}

/** Where the payload of each attribute between `at` and `end` lies; undefined when a length lies. */
function spansIn(view: DataView, at: number, end: number): Map<number, Span> | undefined {
  const spans = new Map<number, Span>();
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) return undefined;
    spans.set(attributeType(view, at), { at: at + ATTRIBUTE_HEADER_BYTES, end: payloadEnd });
    at = nextAttribute(at, payloadEnd);
  }
  return spans;
}

function tupleIn(view: DataView, span: Span | undefined, family: 4 | 6): ExpectationTuple | undefined {
  if (span === undefined) return undefined;
  words.fill(0);
  const answer = decodeTuple(view, span.at, span.end, words, 0);
  if (answer < 0 || (answer & TUPLE_HAS_PROTOCOL) === 0) return undefined;
  return {
    family,
    source: [...words.subarray(0, 4)],
    destination: [...words.subarray(4, 8)],
    l4proto: tupleProtocol(answer),
    ports: words[8],
  };
}

function natIn(view: DataView, span: Span | undefined, family: 4 | 6): Expectation["nat"] {
  const found = span && spansIn(view, span.at, span.end);
  const tuple = tupleIn(view, found?.get(cta.CTA_EXPECT_NAT_TUPLE), family);
  const direction = wordIn(view, found?.get(cta.CTA_EXPECT_NAT_DIR));
  if (tuple === undefined || direction === undefined) return undefined;
  return { tuple, direction: direction === 0 ? "orig" : "reply" };
}

const wordIn = (view: DataView, span: Span | undefined): number | undefined =>
  span === undefined || span.at + 4 > span.end ? undefined : view.getUint32(span.at);

/** Up to a zero byte or the attribute's end; what is no printable ASCII, which no helper's name is, is left out. */
function textIn(view: DataView, span: Span | undefined): string {
  let text = "";
  if (span === undefined) return text;
  for (let { at } = span; at < span.end && view.getUint8(at) !== 0; at++) {
    const byte = view.getUint8(at);
    if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
  }
  return text;
}
