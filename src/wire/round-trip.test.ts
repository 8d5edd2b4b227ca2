/** What the two codecs promise together, for every flow a kernel may have and for every way to damage its message. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { kernelFlow } from "../../test/kernel-flow.ts";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_NAT,
  HAS_PORTS,
  HAS_REPLY,
  HAS_WSCALE,
  HELPER,
  hasPorts,
  INFO,
  IPPROTO_TCP,
  IPPROTO_UDPLITE,
  isIcmp,
  LABELS,
  ORIG_PORTS,
  PROTO,
  protoWord,
  REPLY_PORTS,
} from "../flow/flow.ts";
import { deriveReply } from "../flow/reply.ts";
import { decodeFlow } from "./decode.ts";
import { encodeFlow, helperTooLong, MESSAGE_MAX_BYTES } from "./encode.ts";
import { CT_UPDATE, FRAME_BAD_SIZE, FRAME_TRUNCATED, frameLength, HEADER_BYTES, putHeader } from "./header.ts";

const MARGIN_BYTES = 64;

const uint8 = fc.integer({ min: 0, max: 0xff });

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
