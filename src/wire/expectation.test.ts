import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryExpectation, expectationMessage, makeExpectation } from "../../test/make-expectation.ts";
import { viewOf } from "../../test/outbound.ts";
import type { Expectation } from "../flow/expectation.ts";
import { expectationLine } from "../flow/expectation-text.ts";
import { decodeExpectation } from "./expectation.ts";
import { EXP_NEW, HEADER_BYTES, putHeader } from "./header.ts";

const MASTER = "000c0000 c6120001 c6120002 00050002 06000000 00080003 00090015";
const EXPECTED = "000c0004 c6120001 c6120002 00050006 06000000 00080007 000007d0";
const MASK = "000c0008 ffffffff ffffffff 0005000a 06000000 0008000b 0000ffff";
const CLASS = "0008000e 00000000";
const HELPER = "00080013 66747000";
const WHOLE = [MASTER, EXPECTED, MASK, CLASS, HELPER];

/** The view ends with the message: a read behind it throws. */
function decode(...attributes: string[]): ReturnType<typeof decodeExpectation> {
  const payload = Uint8Array.fromHex(attributes.join("").replaceAll(" ", ""));
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes.set(payload, HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  putHeader(view, 0, EXP_NEW, 0, bytes.length, 1);
  return decodeExpectation(view, 0, bytes.length);
}

function decodeWhole(...more: string[]): Expectation {
  const decoded = decode(...WHOLE, ...more);
  if (typeof decoded === "string") throw new Error(decoded);
  return decoded;
}

test("its line is conntrackd's", () => {
  expect(expectationLine(decodeWhole(), 7)).toBe(
    "proto=6 src=198.18.0.1 dst=198.18.0.2 sport=0 dport=2000 mask-src=255.255.255.255 mask-dst=255.255.255.255 " +
      "sport=0 dport=65535 master-src=198.18.0.1 master-dst=198.18.0.2 sport=9 dport=21 class=0 helper=ftp [active since 7s]",
  );
  expect(expectationLine(decodeWhole("0008000d 00000003"), 0)).toContain(" dport=21 PERMANENT,INACTIVE class=0 ");
  expect(expectationLine(decodeWhole("0008000d 00000004"), 0)).toContain(" dport=21 USERSPACE class=0 ");
});

test("a translated one has a tuple and a direction", () => {
  const nat = "000c000f c6336465 00000000 00050011 06000000 00080010 c8220000 00080012 00000001";
  expect(decodeWhole(nat).nat).toEqual({
    tuple: { family: 4, source: [0xc6336465, 0, 0, 0], destination: [0, 0, 0, 0], l4proto: 6, ports: 0xc8220000 },
    direction: "reply",
  });
});

test("what was not sent is absent", () => {
  expect(Object.keys(decodeWhole()).sort()).toEqual(["class", "expected", "flags", "helper", "mask", "master"]);
  expect(decodeWhole("0008000c 0000012c").timeoutSeconds).toBe(300);
});

describe("a message is a bad payload", () => {
  test.each([
    ["with an unknown attribute", "00080015 00000000"],
    ["with an expectfn of 28 characters", `00210014 ${"61".repeat(28)} 00000000`],
    ["with an expectfn that does not end", `00200014 ${"61".repeat(28)}`],
    ["with an expectfn that is empty", "00050014 00000000"],
  ])("%s", (_, attribute) => {
    expect(decode(...WHOLE, attribute)).toBe("badPayload");
  });

  test("but not with an expectfn of 27 characters", () => {
    expect(decodeWhole(`00200014 ${"61".repeat(27)} 00`).expectfn).toBe("a".repeat(27));
  });
});

describe("a message is incomplete", () => {
  test.each([
    ["without master", [EXPECTED, MASK]],
    ["without the tuple that is expected", [MASTER, MASK]],
    ["without mask", [MASTER, EXPECTED]],
    ["whose master has no ports", [MASTER.slice(0, 44), EXPECTED, MASK]],
    ["with addresses of both families", [...WHOLE, `00240001 ${"00".repeat(32)}`]],
  ])("%s", (_, attributes) => {
    expect(decode(...attributes)).toBe("incomplete");
  });
});

describe("an expectation", () => {
  /** The addresses of an IPv6 NAT tuple stay behind. */
  const asCarried = (sent: Expectation): Expectation => {
    if (sent.nat?.tuple.family !== 6) return sent;
    const none = [0, 0, 0, 0];
    return { ...sent, nat: { ...sent.nat, tuple: { ...sent.nat.tuple, source: none, destination: none } } };
  };

  test("is decoded as it was encoded, as far as conntrackd's format carries it", () => {
    fc.assert(
      fc.property(arbitraryExpectation(11), (sent) => {
        const message = expectationMessage(EXP_NEW, 1, sent);
        expect(message.length % 4).toBe(0);
        expect(decodeExpectation(viewOf(message), 0, message.length)).toEqual(asCarried(sent));
      }),
      { numRuns: 500 },
    );
  });

  test("whose helper's name is too long goes without it", () => {
    const message = expectationMessage(EXP_NEW, 1, makeExpectation(2000, { helper: "twelve-chars" }));
    const { helper, ...rest } = makeExpectation(2000);
    expect(helper).toBe("ftp");
    expect(decodeExpectation(viewOf(message), 0, message.length)).toEqual(rest);
  });

  test("is never read past its end, whatever byte is flipped", () => {
    fc.assert(
      fc.property(arbitraryExpectation(11), fc.nat(), fc.nat({ max: 255 }), (sent, at, value) => {
        const message = expectationMessage(EXP_NEW, 1, sent);
        message[HEADER_BYTES + (at % (message.length - HEADER_BYTES))] = value;
        const alone = decodeExpectation(viewOf(message), 0, message.length);
        for (const filling of [0x00, 0xff]) {
          const amid = new Uint8Array(message.length + 128).fill(filling);
          amid.set(message, 64);
          expect(decodeExpectation(viewOf(amid), 64, message.length)).toEqual(alone);
        }
      }),
      { numRuns: 500 },
    );
  });
});
