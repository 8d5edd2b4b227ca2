/** What we build, the library reads as the flow it was built from; what the library builds, we read the same way. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseByLibrary } from "../../test/netns/kernel-library.ts";
import * as f from "../flow/flow.ts";
import { deriveReply } from "../flow/reply.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../flow/status.ts";
import { DECODED, decodeConntrack } from "./ctnetlink.ts";
import { CT_NEW, CTA_NAT_DST, CTA_NAT_SRC, CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { encodeCreate, encodeUpdate } from "./encode-conntrack.ts";
import { addressFamilyOf } from "./encode-tuple.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "./message-writer.ts";
import { attributeEnd, attributeType, nextAttribute } from "./netlink.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });
const PROTOCOLS = [1, 6, 17, 33, 47, 50, 58, 132, 136];

/** Any flow that a kernel could hold and take: everything set at random. */
const flows = fc
  .record({
    ipv6: fc.boolean(),
    l4proto: fc.constantFrom(...PROTOCOLS),
    words: fc.array(word, { minLength: f.FLOW_WORDS, maxLength: f.FLOW_WORDS }),
    rare: word,
    zone: fc.nat(0xffff),
    zoneDirection: fc.constantFrom(f.ZONE_BOTH, f.ZONE_ORIG_ONLY, f.ZONE_REPLY_ONLY),
    helper: fc.stringMatching(/^[a-zA-Z0-9.-]{1,15}$/),
    translated: fc.boolean(),
  })
  .map((any) => {
    const flow = new f.Flow();
    const { words } = flow;
    words.set(any.words.slice(0, 53));
    const icmp = any.l4proto === f.IPPROTO_ICMP || any.l4proto === f.IPPROTO_ICMPV6;
    const l4proto = icmp ? (any.ipv6 ? f.IPPROTO_ICMPV6 : f.IPPROTO_ICMP) : any.l4proto;
    words[f.PROTO] = f.protoWord(any.ipv6 ? 6 : 4, l4proto, any.zone, any.zone === 0 ? f.ZONE_BOTH : any.zoneDirection);
    const ported = f.hasPorts(l4proto) || l4proto === f.IPPROTO_GRE || icmp;
    if (!ported) words.fill(0, f.ORIG_PORTS, f.ORIG_PORTS + 1);
    if (!any.ipv6) for (const at of ADDRESSES) words.fill(0, at + 1, at + 4);
    let has = any.rare & (f.HAS_RARE | f.HAS_MARK | f.HAS_STATUS | f.HAS_STATE | f.HAS_WSCALE);
    if (l4proto !== f.IPPROTO_TCP) has &= ~f.HAS_WSCALE;
    if (l4proto !== f.IPPROTO_TCP && l4proto !== f.IPPROTO_SCTP) has &= ~f.HAS_STATE;
    if ((has & f.HAS_STATE) === 0) has &= ~f.HAS_WSCALE;
    if (l4proto === f.IPPROTO_SCTP && (has & f.HAS_STATE) !== 0) has |= f.HAS_VTAGS;
    has |= f.HAS_REPLY | f.HAS_TIMEOUT | (ported ? f.HAS_PORTS : 0);
    words[f.MASTER_PROTO] = f.protoWord(any.ipv6 ? 6 : 4, f.IPPROTO_TCP, 0, f.ZONE_BOTH);
    if (has & f.HAS_MASTER) has |= f.HAS_MASTER_PORTS;
    f.setHelperName(words, any.helper);
    words[f.HAS] = has;
    words[f.STATUS] = (words[f.STATUS] & (IPS_SEEN_REPLY | IPS_ASSURED)) | IPS_CONFIRMED;
    clearUnset(words);
    words[f.INFO] &= has & f.HAS_WSCALE ? 0xffffff : 0xff;
    if (!any.translated || !ported || icmp) deriveReply(words);
    return flow;
  });
const ADDRESSES = [f.ORIG_SRC, f.ORIG_DST, f.REPLY_SRC, f.REPLY_DST, f.MASTER_SRC, f.MASTER_DST];

/** A word whose HAS bit is clear is 0. */
function clearUnset(words: Uint32Array): void {
  const unset = (bit: number, from: number, count: number): void => {
    if ((words[f.HAS] & bit) === 0) words.fill(0, from, from + count);
  };
  unset(f.HAS_STATUS, f.STATUS, 1);
  unset(f.HAS_MARK, f.MARK, 1);
  unset(f.HAS_STATE, f.INFO, 1);
  unset(f.HAS_VTAGS, f.VTAG_ORIG, 2);
  unset(f.HAS_LABELS, f.LABELS, 4);
  unset(f.HAS_HELPER, f.HELPER, 4);
  unset(f.HAS_MASTER, f.MASTER_PROTO, 10);
  unset(f.HAS_SEQADJ, f.SEQADJ, 6);
  unset(f.HAS_SYNPROXY, f.SYNPROXY, 3);
}

type Encode = typeof encodeCreate;
function encoded(flow: f.Flow, encode: Encode): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter(MESSAGE_BYTES_MAX);
  writer.begin(CT_NEW, 0, 1, addressFamilyOf(flow.words[f.PROTO]));
  encode(writer, flow.words, flow.words[f.TIMEOUT], 0);
  writer.end();
  return writer.bytes.slice(0, writer.at);
}

function attributeTypes(message: Uint8Array<ArrayBuffer>): Set<number> {
  const view = new DataView(message.buffer);
  const types = new Set<number>();
  for (let at = CTNETLINK_HEADER_BYTES; at < message.length; ) {
    types.add(attributeType(view, at));
    at = nextAttribute(at, attributeEnd(view, at, message.length));
  }
  return types;
}

/** A create request names the untranslated reply; the translation stands in NAT attributes. The windows of a TCP flow are not checked. */
function untranslated(flow: f.Flow): Uint32Array {
  const words = flow.words.slice();
  if (flow.l4proto === f.IPPROTO_TCP && flow.has(f.HAS_STATE)) words[f.HAS] |= f.HAS_LIBERAL;
  deriveReply(words);
  return words;
}

test("the library reads a create request as the flow it was built from", () => {
  fc.assert(
    fc.property(flows, (flow) => {
      const wanted = untranslated(flow);
      if (f.isIcmp(flow.l4proto)) wanted[f.REPLY_PORTS] = 0; // The library keeps none.
      expect(Array.from(parseByLibrary(encoded(flow, encodeCreate)) ?? [])).toEqual(Array.from(wanted));
    }),
    { numRuns: 500 },
  );
});

test("our decoder reads a create request as the flow it was built from", () => {
  fc.assert(
    fc.property(flows, (flow) => {
      const message = encoded(flow, encodeCreate);
      const words = new f.Flow().words;
      expect(decodeConntrack(new DataView(message.buffer), 0, message.length, words)).toBe(DECODED);
      expect(Array.from(words)).toEqual(Array.from(untranslated(flow)));
    }),
    { numRuns: 500 },
  );
});

test("a create request has NAT, both sides, exactly when the reply tuple is not the mirror of the original", () => {
  fc.assert(
    fc.property(flows, (flow) => {
      const types = attributeTypes(encoded(flow, encodeCreate));
      const reply = (words: Uint32Array) => words.subarray(f.REPLY_SRC, f.HAS);
      const translated = !reply(flow.words).every((value, i) => value === reply(untranslated(flow))[i]);
      expect(types.has(CTA_NAT_SRC)).toBe(translated);
      expect(types.has(CTA_NAT_DST)).toBe(translated);
    }),
    { numRuns: 500 },
  );
});

test("no request is longer than the room kept for one", () => {
  fc.assert(
    fc.property(flows, (flow) => {
      expect(encoded(flow, encodeCreate).length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
      expect(encoded(flow, encodeUpdate).length).toBeLessThan(encoded(flow, encodeCreate).length);
    }),
    { numRuns: 500 },
  );
});

test("an update names no NAT, no master and no reply tuple, which the kernel would refuse or ignore", () => {
  fc.assert(
    fc.property(flows, (flow) => {
      const types = attributeTypes(encoded(flow, encodeUpdate));
      for (const type of [2, CTA_NAT_SRC, CTA_NAT_DST, 14]) expect(types.has(type)).toBe(false);
    }),
    { numRuns: 200 },
  );
});
