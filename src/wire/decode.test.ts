import { describe, expect, test } from "bun:test";
import {
  Flow,
  HAS,
  HAS_DNAT_PORT,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_PORTS,
  HAS_SNAT_PORT,
  HAS_STATE,
  HAS_STATUS,
  helperName,
  LABELS,
  MARK,
  ORIG_PORTS,
  ORIG_SRC,
  REPLY_PORTS,
} from "../flow/flow.ts";
import { type Decoded, decodeFlow } from "./decode.ts";
import { CT_NEW, HEADER_BYTES, putHeader } from "./header.ts";

const IPV4 = "000c0000 c6120001 c6120002";
const IPV6 = "00240001 20010db8000000000000000000000001 20010db8000000000000000000000002";
const UDP = "00050002 11000000";
const ICMP = "00050002 01000000";
const PORTS = "00080003 03e90035";
const STATUS = "00080005 0000000a";

const flow = new Flow();
const words = flow.words;

/** Decodes a message with these attributes. The view ends with the message: a read behind it throws. */
function decode(...attributes: string[]): Decoded {
  const payload = Uint8Array.fromHex(attributes.join("").replaceAll(" ", ""));
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes.set(payload, HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  putHeader(view, 0, CT_NEW, 0, bytes.length, 1);
  return decodeFlow(view, 0, bytes.length, flow);
}

test("what was in the flow before is gone", () => {
  expect(decode(IPV4, UDP, PORTS, STATUS, "00080007 00000001")).toBe("ok");
  expect(flow.has(HAS_MARK)).toBe(true);
  expect(decode(IPV4, UDP, PORTS)).toBe("ok");
  expect(words[HAS]).toBe(HAS_PORTS);
  expect(words[MARK]).toBe(0);
});

test("attributes come in any order", () => {
  expect(decode(STATUS, PORTS, UDP, IPV6)).toBe("ok");
  expect(flow.family).toBe(6);
  expect(words[ORIG_SRC]).toBe(0x20010db8);
  expect(words[ORIG_PORTS]).toBe(0x03e90035);
  expect(flow.has(HAS_STATUS | HAS_PORTS)).toBe(true);
});

test("of a repeated attribute the last one counts", () => {
  expect(decode(IPV4, UDP, PORTS, "00080007 00000001", "00080007 00000002")).toBe("ok");
  expect(words[MARK]).toBe(2);
});

describe("a message is a bad payload", () => {
  test.each([
    ["with an unknown attribute", "00080021 00000000"],
    ["with an attribute of a wrong size", "000a0007 00000001 0000"],
    ["with an attribute shorter than its own header", "00030007 00000001"],
    ["with an attribute longer than what is left", "00080007 000000"],
    ["with more than 1024 bytes of labels", `0408001c ${"00".repeat(1028)}`],
    ["with a helper name that does not end", "0008001b 74667470"],
    ["with a helper name that is empty", "0005001b 00000000"],
    ["with a helper name of more than 11 characters", `0011001b ${"61".repeat(12)} 00000000`],
    ["with a line break in a helper name", "0008001b 66740a00"],
  ])("%s", (_, attribute) => {
    expect(decode(IPV4, UDP, PORTS, attribute)).toBe("badPayload");
  });
});

describe("a message is incomplete", () => {
  const ICMP_TYPE = "00050016 08000000";
  const ICMP_CODE = "00050017 00000000";
  const ICMP_ID = "00060018 01000000";
  test.each([
    ["without anything", []],
    ["without addresses", [UDP, PORTS]],
    ["without protocol", [IPV4, PORTS]],
    ["without ports", [IPV4, UDP]],
    ["of TCP without ports", [IPV4, "00050002 06000000"]],
    ["of SCTP without ports", [IPV4, "00050002 84000000"]],
    ["of ICMP without type", [IPV4, ICMP, ICMP_CODE, ICMP_ID]],
    ["of ICMP without code", [IPV4, ICMP, ICMP_TYPE, ICMP_ID]],
    ["of ICMP without id", [IPV4, ICMP, ICMP_TYPE, ICMP_CODE]],
    ["with addresses of both families", [IPV4, IPV6, UDP, PORTS]],
    ["translated to an address of the other family", [IPV6, UDP, PORTS, "0008000c c6120001"]],
  ] as const)("%s", (_, attributes) => {
    expect(decode(...attributes)).toBe("incomplete");
  });

  test("but not when a protocol without ports has none, nor UDP-Lite, whose ports conntrackd does not send", () => {
    expect(decode(IPV4, "00050002 2f000000")).toBe("ok");
    expect(decode(IPV4, "00050002 88000000")).toBe("ok");
    expect(flow.has(HAS_PORTS)).toBe(false);
  });
});

describe("tolerated as conntrackd tolerates it", () => {
  test("up to 4 bytes behind the last attribute", () => {
    expect(decode(IPV4, UDP, PORTS, "00000000")).toBe("ok");
    expect(decode(IPV4, UDP, PORTS, "00080021")).toBe("ok");
    expect(decode(IPV4, UDP, PORTS, "0008002100")).toBe("badPayload");
  });

  test("a last attribute without padding, and padding that is not zero", () => {
    expect(decode(IPV4, PORTS, "0005000211")).toBe("ok");
    expect(decode(IPV4, PORTS, "00050002 11abcdef", STATUS)).toBe("ok");
    expect(flow.l4proto).toBe(17);
  });

  test("labels that are empty or not made of words: they are skipped", () => {
    expect(decode(IPV4, UDP, PORTS, "0004001c", "00080007 00000001")).toBe("ok");
    expect(flow.has(HAS_LABELS)).toBe(false);
    expect(decode(IPV4, UDP, PORTS, "0007001c 01020300")).toBe("ok");
    expect(flow.has(HAS_LABELS)).toBe(false);
  });

  test("more labels than Linux has: the first 128 count", () => {
    expect(decode(IPV4, UDP, PORTS, `0404001c 00000008 ${"ff".repeat(1020)}`)).toBe("ok");
    expect([...words.subarray(LABELS, LABELS + 4)]).toEqual([8, 0xffffffff, 0xffffffff, 0xffffffff]);
  });

  test("fewer labels than Linux has", () => {
    expect(decode(IPV4, UDP, PORTS, "0008001c 00000008")).toBe("ok");
    expect([...words.subarray(LABELS, LABELS + 4)]).toEqual([8, 0, 0, 0]);
  });
});

test("a helper name of 11 characters is read", () => {
  expect(decode(IPV4, UDP, PORTS, "0010001b 6162636465666768696a6b00")).toBe("ok");
  expect(flow.has(HAS_HELPER)).toBe(true);
  expect(helperName(words)).toBe("abcdefghijk");
});

test("NAT ports travel least significant byte first, and say nothing for ICMP", () => {
  const SNAT_PORT = "0006000e 36750000";
  const DNAT_PORT = "0006000f 901f0000";
  expect(decode(IPV4, UDP, PORTS, SNAT_PORT, DNAT_PORT)).toBe("ok");
  expect(flow.has(HAS_SNAT_PORT | HAS_DNAT_PORT)).toBe(true);
  expect(words[REPLY_PORTS]).toBe(8080 * 0x10000 + 30006);
  expect(decode(IPV4, ICMP, "00050016 08000000 00050017 00000000 00060018 12220000", SNAT_PORT, DNAT_PORT)).toBe("ok");
  expect(words[HAS] & (HAS_SNAT_PORT | HAS_DNAT_PORT)).toBe(0);
  expect(words[ORIG_PORTS]).toBe(8722 * 0x10000 + 0x0800);
});

test("a state of another protocol is not the flow's", () => {
  expect(decode(IPV4, UDP, PORTS, "00050004 03000000")).toBe("ok");
  expect(flow.has(HAS_STATE)).toBe(false);
});

test("a master without protocol is no master", () => {
  expect(decode(IPV4, UDP, PORTS, "000c0008 c6120001 c6120002")).toBe("ok");
  expect(flow.has(HAS_MASTER)).toBe(false);
});
