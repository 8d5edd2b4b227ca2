/** What goes to an extended peer alone: all that a kernel knows of a flow, and room for what later versions know. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { kernelFlow } from "../../test/kernel-flow.ts";
import { arbitraryExpectation, expectationMessage, makeExpectation } from "../../test/make-expectation.ts";
import { makeFlow } from "../../test/make-flow.ts";
import { type Bytes, viewOf } from "../../test/outbound.ts";
import * as f from "../flow/flow.ts";
import { completeReply } from "../flow/reply.ts";
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "../flow/status.ts";
import { decodeFlow } from "./decode.ts";
import { EXTENDED_MESSAGE_MAX_BYTES, encodeFlow } from "./encode.ts";
import { decodeExpectation, encodeExpectation } from "./expectation.ts";
import { CT_UPDATE, HEADER_BYTES, putHeader } from "./header.ts";

const uint32 = fc.integer({ min: 0, max: 0xffffffff });

/** Some have a reply tuple that no NAT attribute tells, as GRE with PPTP's keys or ICMP with another id. */
const anyFlow = fc.tuple(kernelFlow, fc.boolean(), uint32, uint32).map(([flow, odd, ports, address]) => {
  if (!odd) return flow;
  flow.words[f.REPLY_DST] = address;
  if (flow.l4proto !== 50 && flow.l4proto !== 200) flow.words[f.REPLY_PORTS] = ports;
  return flow;
});

function messageOf(flow: f.Flow, extended = true): Bytes {
  const bytes = new Uint8Array(EXTENDED_MESSAGE_MAX_BYTES).fill(0xff);
  const length = encodeFlow(flow, viewOf(bytes), 0, false, extended);
  putHeader(viewOf(bytes), 0, CT_UPDATE, 0, length, 1);
  return bytes.slice(0, length);
}

/** Values, and which are known; how the reply tuple came to be known is the receiver's affair. */
function comparable({ words, l4proto }: f.Flow): number[] {
  const copy = [...words];
  copy[f.HAS] = (words[f.HAS] & ~(f.HAS_NAT | f.HAS_REPLY)) >>> 0;
  if (l4proto === 50 || l4proto === 200) copy[f.HAS] = (words[f.HAS] & ~(f.HAS_NAT | f.HAS_REPLY | f.HAS_PORTS)) >>> 0;
  return copy;
}

function decoded(message: Bytes): f.Flow {
  const flow = new f.Flow();
  expect(decodeFlow(viewOf(message), 0, message.length, flow, true)).toBe("ok");
  completeReply(flow.words);
  return flow;
}

/** A message with one more attribute, in front of the others or behind them. */
function withAttribute(message: Bytes, id: number, payload: readonly number[], front: boolean): Bytes {
  const padded = [...payload, 0, 0, 0].slice(0, (payload.length + 3) & ~3);
  const attribute = [0, payload.length + 4, id >>> 8, id & 0xff, ...padded];
  const [header, body] = [[...message.slice(0, HEADER_BYTES)], [...message.slice(HEADER_BYTES)]];
  return Uint8Array.from([...header, ...(front ? [...attribute, ...body] : [...body, ...attribute])]);
}

describe("a flow", () => {
  test("in zone 0 of one direction is the one in no zone: the kernel knows one alone", () => {
    const plain = makeFlow();
    for (const id of [67, 68]) {
      const flow = decoded(withAttribute(messageOf(plain), id, [0, 0], false));
      expect(flow.words.slice(0, f.KEY_WORDS)).toEqual(plain.words.slice(0, f.KEY_WORDS));
      expect(decoded(withAttribute(messageOf(plain), id, [0, 7], false)).zoneDirection).not.toBe(f.ZONE_BOTH);
    }
  });

  test("is decoded as it was encoded, whatever the kernel knows of it", () => {
    fc.assert(
      fc.property(anyFlow, (sent) => {
        const message = messageOf(sent);
        expect(message.length % 4).toBe(0);
        expect(comparable(decoded(message))).toEqual(comparable(sent));
      }),
      { numRuns: 2_000 },
    );
  });

  test("that conntrackd's format carries is told without attributes of ours", () => {
    const flow = makeFlow();
    expect(messageOf(flow)).toEqual(messageOf(flow, false));
  });

  test("is told to others in conntrackd's attributes alone", () => {
    fc.assert(
      fc.property(anyFlow, (sent) => {
        const message = messageOf(sent, false);
        for (let at = HEADER_BYTES; at < message.length; at += (viewOf(message).getUint16(at) + 3) & ~3)
          expect(viewOf(message).getUint16(at + 2)).toBeLessThan(33);
      }),
    );
  });

  test("of which most is known fills EXTENDED_MESSAGE_MAX_BYTES", () => {
    const flow = new f.Flow();
    const words = flow.words;
    words[f.PROTO] = f.protoWord(6, f.IPPROTO_ICMPV6, 7, f.ZONE_REPLY_ONLY);
    words[f.MASTER_PROTO] = f.protoWord(6, f.IPPROTO_TCP, 0, 0);
    words[f.STATUS] = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    words[f.REPLY_SRC] = 1;
    words[f.REPLY_DST] = 2;
    words[f.ORIG_PORTS] = f.icmpWord(9, 128, 0);
    words[f.REPLY_PORTS] = f.icmpWord(8, 129, 0); // Of ICMP no NAT attribute tells that.
    words[f.LABELS] = 1;
    f.setHelperName(words, "fifteen-letters");
    words[f.HAS] = f.HAS_STATUS | f.HAS_TIMEOUT | f.HAS_MARK | f.HAS_RARE | f.HAS_MASTER_PORTS | f.HAS_PORTS;
    expect(messageOf(flow)).toHaveLength(EXTENDED_MESSAGE_MAX_BYTES);
    fc.assert(
      // Written behind the end of the view, it would throw.
      fc.property(anyFlow, (any) => messageOf(any).length <= EXTENDED_MESSAGE_MAX_BYTES),
      { numRuns: 1_000 },
    );
  });

  test("is never read past its end, whatever byte is flipped", () => {
    const [before, after] = [new f.Flow(), new f.Flow()];
    fc.assert(
      fc.property(anyFlow, fc.nat(), fc.nat({ max: 255 }), (sent, at, value) => {
        const message = messageOf(sent);
        message[HEADER_BYTES + (at % (message.length - HEADER_BYTES))] = value;
        const alone = decodeFlow(viewOf(message), 0, message.length, before, true);
        for (const filling of [0x00, 0xff]) {
          const amid = new Uint8Array(message.length + 128).fill(filling);
          amid.set(message, 64);
          expect(decodeFlow(viewOf(amid), 64, message.length, after, true)).toBe(alone);
          expect(after.words).toEqual(before.words);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("an attribute of a later version", () => {
  test("is passed over, wherever it stands", () => {
    const id = fc.integer({ min: 71, max: 0xffff });
    const payload = fc.array(fc.nat({ max: 255 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(anyFlow, id, payload, fc.boolean(), (sent, number, bytes, front) => {
        expect(comparable(decoded(withAttribute(messageOf(sent), number, bytes, front)))).toEqual(comparable(sent));
      }),
    );
  });

  test("that lies about its length makes the message worthless", () => {
    const message = withAttribute(messageOf(makeFlow()), 99, [1, 2, 3, 4], true);
    message[HEADER_BYTES] = 0x7f;
    expect(decodeFlow(viewOf(message), 0, message.length, new f.Flow(), true)).toBe("badPayload");
  });
});

test.each([
  ["an id that conntrackd may give one day", 33, [0, 0, 0, 0], true],
  ["the last such id", 63, [0, 0, 0, 0], true],
  ["an attribute of ours of another length", 64, [0, 0], true],
  ["an attribute of ours on an open channel", 64, [0, 0, 0, 1], false],
  ["an attribute of a later version on an open channel", 71, [0, 0, 0, 1], false],
] as const)("%s makes a message worthless", (_, id, payload, extended) => {
  const message = withAttribute(messageOf(makeFlow({ l4proto: f.IPPROTO_GRE })), id, payload, true);
  expect(decodeFlow(viewOf(message), 0, message.length, new f.Flow(), extended)).toBe("badPayload");
});

describe("an expectation", () => {
  function extendedMessage(sent: Parameters<typeof encodeExpectation>[0]): Bytes {
    const bytes = new Uint8Array(EXTENDED_MESSAGE_MAX_BYTES).fill(0xff);
    const length = encodeExpectation(sent, viewOf(bytes), 0, true);
    putHeader(viewOf(bytes), 0, CT_UPDATE, 0, length, 1);
    return bytes.slice(0, length);
  }

  test("is decoded as it was encoded, its IPv6 NAT and its helper's long name too", () => {
    fc.assert(
      fc.property(arbitraryExpectation(15), (sent) => {
        const message = extendedMessage(sent);
        expect(decodeExpectation(viewOf(message), 0, message.length, true)).toEqual(sent);
      }),
      { numRuns: 500 },
    );
  });

  test("on an open channel may not have attributes of ours", () => {
    const message = extendedMessage(makeExpectation(1, { helper: "twelve-chars" }));
    expect(decodeExpectation(viewOf(message), 0, message.length)).toBe("badPayload");
    expect(expectationMessage(CT_UPDATE, 1, makeExpectation(1))).toEqual(extendedMessage(makeExpectation(1)));
  });
});
