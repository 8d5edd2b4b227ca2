import { expect, test } from "bun:test";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_WSCALE,
  IPPROTO_GRE,
  IPPROTO_TCP,
  IPPROTO_UDP,
  LABELS,
  MASTER_PROTO,
  ORIG_PORTS,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  STATUS,
  setHelperName,
  ZONE_ORIG_ONLY,
  ZONE_REPLY_ONLY,
} from "../flow/flow.ts";
import { deriveReply } from "../flow/reply.ts";
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "../flow/status.ts";
import { encodeFlow, helperTooLong, MESSAGE_MAX_BYTES } from "./encode.ts";
import { HEADER_BYTES } from "./header.ts";

/** Attributes that are always there: addresses, status, protocol, and the ports of UDP. */
const UDP_BYTES = HEADER_BYTES + 12 + 8 + 8 + 8;

function udpFlow(): Flow {
  const flow = new Flow();
  flow.words[PROTO] = protoWord(4, IPPROTO_UDP, 0, 0);
  flow.words[ORIG_PORTS] = portsWord(1001, 53);
  flow.words[HAS] = HAS_STATUS | HAS_PORTS | HAS_REPLY;
  deriveReply(flow.words);
  return flow;
}

function encode(flow: Flow): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_MAX_BYTES + 8).fill(0xee);
  const lengthBytes = encodeFlow(flow, new DataView(bytes.buffer), 4, true);
  expect(bytes.subarray(0, 4 + HEADER_BYTES)).toEqual(new Uint8Array(4 + HEADER_BYTES).fill(0xee));
  expect(bytes.subarray(4 + lengthBytes)).toEqual(new Uint8Array(MESSAGE_MAX_BYTES + 4 - lengthBytes).fill(0xee));
  return bytes.slice(4 + HEADER_BYTES, 4 + lengthBytes);
}

const lengthOf = (flow: Flow): number => HEADER_BYTES + encode(flow).length;

test("the flow of which most is known fills MESSAGE_MAX_BYTES", () => {
  const flow = udpFlow();
  const words = flow.words;
  words[PROTO] = protoWord(6, IPPROTO_TCP, 7, 0);
  words[MASTER_PROTO] = protoWord(6, IPPROTO_TCP, 0, 0);
  words[STATUS] = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
  words[REPLY_SRC] = 1;
  words[REPLY_DST] = 2;
  words[REPLY_PORTS] = 3;
  words[LABELS] = 1;
  setHelperName(words, "abcdefghijk");
  words[HAS] |= HAS_STATE | HAS_WSCALE | HAS_TIMEOUT | HAS_MARK | HAS_MASTER | HAS_MASTER_PORTS | HAS_SEQADJ;
  words[HAS] |= HAS_HELPER | HAS_LABELS | HAS_SYNPROXY;
  expect(lengthOf(flow)).toBe(MESSAGE_MAX_BYTES);
});

test("a zone is sent when it counts in both directions", () => {
  const flow = udpFlow();
  flow.words[PROTO] = protoWord(4, IPPROTO_UDP, 7, 0);
  expect(lengthOf(flow)).toBe(UDP_BYTES + 8);
  for (const direction of [ZONE_ORIG_ONLY, ZONE_REPLY_ONLY]) {
    flow.words[PROTO] = protoWord(4, IPPROTO_UDP, 7, direction);
    expect(lengthOf(flow)).toBe(UDP_BYTES);
  }
});

test("a helper name that the wire cannot carry is left out, and helperTooLong says so", () => {
  const flow = udpFlow();
  expect(helperTooLong(flow)).toBe(false);
  flow.words[HAS] |= HAS_HELPER;
  setHelperName(flow.words, "abcdefghijk");
  expect(helperTooLong(flow)).toBe(false);
  expect(lengthOf(flow)).toBe(UDP_BYTES + 16);
  for (const name of ["abcdefghijkl", "abcdefghijklmno"]) {
    setHelperName(flow.words, name);
    expect(helperTooLong(flow)).toBe(true);
    expect(lengthOf(flow)).toBe(UDP_BYTES);
  }
});

test("labels are sent once one is set", () => {
  const flow = udpFlow();
  flow.words[HAS] |= HAS_LABELS;
  expect(lengthOf(flow)).toBe(UDP_BYTES);
  flow.words[LABELS + 3] = 0x80000000;
  expect(lengthOf(flow)).toBe(UDP_BYTES + 20);
});

test("a translation is sent once the kernel says it is done", () => {
  const flow = udpFlow();
  flow.words[REPLY_DST] = 1;
  flow.words[REPLY_SRC] = 2;
  flow.words[REPLY_PORTS] = portsWord(5353, 40000);
  expect(lengthOf(flow)).toBe(UDP_BYTES);
  flow.words[STATUS] = IPS_SRC_NAT_DONE;
  expect(encode(flow).toHex()).toEndWith("0008000c00000001" + "0006000e409c0000");
  flow.words[STATUS] = IPS_DST_NAT_DONE;
  expect(encode(flow).toHex()).toEndWith("0008000d00000002" + "0006000fe9140000");
});

test("GRE keys are not sent", () => {
  const flow = udpFlow();
  flow.words[PROTO] = protoWord(4, IPPROTO_GRE, 0, 0);
  expect(lengthOf(flow)).toBe(UDP_BYTES - 8);
});
