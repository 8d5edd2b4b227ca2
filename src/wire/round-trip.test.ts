/** What the two codecs promise together, for every flow a kernel may have and for every way to damage its message. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_NAT,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  HELPER,
  hasPorts,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDPLITE,
  icmpWord,
  isIcmp,
  LABELS,
  MARK,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  setHelperName,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
} from "../flow/flow.ts";
import { deriveReply } from "../flow/reply.ts";
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "../flow/status.ts";
import { decodeFlow } from "./decode.ts";
import { encodeFlow, helperTooLong, MESSAGE_MAX_BYTES } from "./encode.ts";
import { CT_UPDATE, FRAME_BAD_SIZE, FRAME_TRUNCATED, frameLength, HEADER_BYTES, putHeader } from "./header.ts";

const MARGIN_BYTES = 64;

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint8 = fc.integer({ min: 0, max: 0xff });
const address = (family: number): fc.Arbitrary<number[]> =>
  family === 6 ? fc.array(uint32, { minLength: 4, maxLength: 4 }) : uint32.map((word) => [word, 0, 0, 0]);

/** A flow as the kernel reports it: both tuples, translated or not, and anything else known or unknown. */
const kernelFlow: fc.Arbitrary<Flow> = fc
  .record({
    family: fc.constantFrom(4, 6),
    l4proto: fc.constantFrom(1, 6, 17, 33, 47, 50, 58, 132, 136, 200),
    icmpType: fc.constantFrom(8, 13, 17, 128, 139),
    labels: fc.array(fc.integer({ min: 0, max: 127 }), { maxLength: 3 }),
    helper: fc.stringMatching(/^[a-z0-9.-]{1,15}$/),
    translate: fc.record({ snat: fc.boolean(), dnat: fc.boolean(), ports: fc.boolean() }),
    zone: fc.record({ number: uint16, direction: fc.integer({ min: 0, max: 2 }) }),
    has: uint32,
    random: fc.array(uint32, { minLength: 64, maxLength: 64 }),
  })
  .chain((parts) => fc.tuple(fc.constant(parts), fc.array(address(parts.family), { minLength: 6, maxLength: 6 })))
  .map(([parts, addresses]) => {
    const flow = new Flow();
    const words = flow.words;
    const known = (bit: number): boolean => (parts.has & bit) !== 0;
    words[PROTO] = protoWord(parts.family, parts.l4proto, parts.zone.number, parts.zone.direction);
    words.set(addresses[0], ORIG_SRC);
    words.set(addresses[1], ORIG_DST);
    words[ORIG_PORTS] = isIcmp(parts.l4proto)
      ? icmpWord(parts.random[0] & 0xffff, parts.icmpType, 0)
      : parts.l4proto === 50 || parts.l4proto === 200
        ? 0
        : parts.random[0];
    deriveReply(words);
    words[HAS] = HAS_STATUS | HAS_REPLY | HAS_PORTS;
    words[STATUS] = parts.random[1] & 0xfe7f;
    if (parts.translate.snat) {
      words.set(addresses[2], REPLY_DST);
      words[STATUS] |= IPS_SRC_NAT_DONE;
      if (parts.translate.ports && hasPorts(parts.l4proto)) words[REPLY_PORTS] ^= parts.random[2] & 0xffff;
    }
    if (parts.translate.dnat) {
      words.set(addresses[3], REPLY_SRC);
      words[STATUS] |= IPS_DST_NAT_DONE;
      if (parts.translate.ports && hasPorts(parts.l4proto)) words[REPLY_PORTS] ^= parts.random[2] & 0xffff0000;
    }
    const set = (bit: number, ...at: number[]): void => {
      if (!known(bit)) return;
      words[HAS] |= bit;
      for (const word of at) words[word] = parts.random[word];
    };
    set(HAS_TIMEOUT, TIMEOUT);
    set(HAS_MARK, MARK);
    setState(words, parts.l4proto, known(HAS_STATE), parts.random);
    set(HAS_SEQADJ, ...[0, 1, 2, 3, 4, 5].map((i) => SEQADJ + i));
    set(HAS_SYNPROXY, SYNPROXY, SYNPROXY + 1, SYNPROXY + 2);
    if (known(HAS_MASTER)) {
      words[HAS] |= HAS_MASTER;
      words[MASTER_PROTO] = protoWord(parts.family, IPPROTO_TCP, 0, 0);
      words.set(addresses[4], MASTER_SRC);
      words.set(addresses[5], MASTER_DST);
      set(HAS_MASTER_PORTS, MASTER_PORTS);
    }
    set(HAS_LABELS);
    if (known(HAS_LABELS)) for (const label of parts.labels) words[LABELS + (label >> 5)] |= 1 << (label & 31);
    set(HAS_HELPER);
    if (known(HAS_HELPER)) setHelperName(words, parts.helper);
    return flow;
  });

function setState(words: Uint32Array, l4proto: number, known: boolean, random: readonly number[]): void {
  if (!known || (l4proto !== IPPROTO_TCP && l4proto !== IPPROTO_SCTP && l4proto !== IPPROTO_DCCP)) return;
  words[HAS] |= HAS_STATE;
  words[INFO] = random[INFO] & 0xff;
  if (l4proto === IPPROTO_TCP) {
    words[HAS] |= HAS_WSCALE;
    words[INFO] = random[INFO] & 0xffffff;
  } else if (l4proto === IPPROTO_SCTP) {
    words[HAS] |= HAS_VTAGS;
    words[VTAG_ORIG] = random[VTAG_ORIG];
    words[VTAG_REPLY] = random[VTAG_REPLY];
  } else {
    words[INFO] = random[INFO] & 0xffff;
  }
}

/** The flow as far as the wire carries it: what a receiver knows once it has derived the reply tuple. */
function asCarried(sent: Flow, windowTracking: boolean): Flow {
  const flow = new Flow();
  flow.copyFrom(sent);
  const words = flow.words;
  words[HAS] &= ~HAS_REPLY;
  words[PROTO] = protoWord(sent.family, sent.l4proto, sent.zoneDirection === 0 ? sent.zone : 0, 0);
  const carriesPorts = isIcmp(sent.l4proto) || (hasPorts(sent.l4proto) && sent.l4proto !== IPPROTO_UDPLITE);
  if (!carriesPorts) {
    words[HAS] &= ~HAS_PORTS;
    words[ORIG_PORTS] = 0;
    words[REPLY_PORTS] = 0;
  }
  if (!windowTracking && sent.l4proto === IPPROTO_TCP) {
    words[HAS] &= ~HAS_WSCALE;
    words[INFO] &= 0xff;
  }
  if (words.subarray(LABELS, LABELS + 4).every((word) => word === 0)) words[HAS] &= ~HAS_LABELS;
  if (helperTooLong(sent)) {
    words[HAS] &= ~HAS_HELPER;
    words.fill(0, HELPER, HELPER + 4);
  }
  return flow;
}

/** The whole message, and nothing around it. */
function messageOf(flow: Flow, windowTracking: boolean): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_MAX_BYTES).fill(0xff);
  const view = new DataView(bytes.buffer);
  const lengthBytes = encodeFlow(flow, view, 0, windowTracking);
  putHeader(view, 0, CT_UPDATE, 0, lengthBytes, 1);
  return bytes.slice(0, lengthBytes);
}

/** Decodes out of a larger buffer, where what is around the message is `filling`. */
function decodeAmid(message: Uint8Array, filling: number, flow: Flow): string {
  const bytes = new Uint8Array(message.length + 2 * MARGIN_BYTES).fill(filling);
  bytes.set(message, MARGIN_BYTES);
  return decodeFlow(new DataView(bytes.buffer), MARGIN_BYTES, message.length, flow);
}

describe("a message", () => {
  test("decodes to the flow that was encoded, as far as the wire carries it", () => {
    fc.assert(
      fc.property(kernelFlow, fc.boolean(), (sent, windowTracking) => {
        const message = messageOf(sent, windowTracking);
        expect(message.length % 4).toBe(0);
        const received = new Flow();
        expect(decodeFlow(new DataView(message.buffer), 0, message.length, received)).toBe("ok");
        deriveReply(received.words);
        received.words[HAS] &= ~HAS_NAT;
        expect(received.words).toEqual(asCarried(sent, windowTracking).words);
      }),
      { numRuns: 1000 },
    );
  });

  test("that was cut anywhere is refused by its frame", () => {
    fc.assert(
      fc.property(kernelFlow, fc.nat(), (sent, cut) => {
        const message = messageOf(sent, true);
        const end = cut % message.length;
        const expected = end < HEADER_BYTES ? FRAME_TRUNCATED : FRAME_BAD_SIZE;
        expect(frameLength(new DataView(message.buffer, 0, end), 0, end)).toBe(expected);
      }),
    );
  });

  test("whose length field was cut with it decodes to nothing that was not sent", () => {
    fc.assert(
      fc.property(kernelFlow, fc.nat(), (sent, cut) => {
        const message = messageOf(sent, true);
        const end = HEADER_BYTES + (cut % (message.length - HEADER_BYTES));
        const whole = new Flow();
        decodeAmid(message, 0, whole);
        const part = new Flow();
        if (decodeAmid(message.slice(0, end), 0, part) !== "ok") return;
        expect(part.words[HAS] & ~whole.words[HAS]).toBe(0);
        expect(part.words.subarray(PROTO + 1, ORIG_PORTS + 1)).toEqual(whole.words.subarray(PROTO + 1, ORIG_PORTS + 1));
      }),
    );
  });

  test("is never read past its end, whatever byte is flipped", () => {
    const before = new Flow();
    const after = new Flow();
    fc.assert(
      fc.property(kernelFlow, fc.nat(), uint8, (sent, at, value) => {
        const message = messageOf(sent, true);
        message[HEADER_BYTES + (at % (message.length - HEADER_BYTES))] = value;
        // A view that ends with the message makes a read behind it throw; two surroundings make it show in the flow.
        const alone = decodeFlow(new DataView(message.buffer), 0, message.length, before);
        expect(["ok", "badPayload", "incomplete"]).toContain(alone);
        for (const filling of [0x00, 0xff]) {
          expect(decodeAmid(message, filling, after)).toBe(alone);
          expect(after.words).toEqual(before.words);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("of random bytes is never read past its end", () => {
    const before = new Flow();
    const after = new Flow();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 80 }), (random) => {
        const message = Uint8Array.from(random);
        const alone = decodeFlow(new DataView(message.buffer), 0, message.length, before);
        for (const filling of [0x00, 0xff]) {
          expect(decodeAmid(message, filling, after)).toBe(alone);
          expect(after.words).toEqual(before.words);
        }
      }),
    );
  });
});
