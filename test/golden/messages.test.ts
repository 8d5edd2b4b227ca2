/** Every recorded message, read as another decoder read it, and written again byte for byte. */
import { describe, expect, test } from "bun:test";
import {
  Flow,
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_REPLY,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_WSCALE,
} from "../../src/flow/flow.ts";
import { deriveReply } from "../../src/flow/reply.ts";
import { decodeFlow } from "../../src/wire/decode.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import { decodeExpectation, encodeExpectation } from "../../src/wire/expectation.ts";
import {
  CT_DESTROY,
  CT_NEW,
  CT_UPDATE,
  CTL,
  EXP_DESTROY,
  EXP_NEW,
  EXP_UPDATE,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  FLAG_NACK,
  FLAG_RESYNC,
  headerFlags,
  headerLength,
  headerSeq,
  headerType,
  headerVersion,
  PROTOCOL_VERSION,
  putHeader,
  putRange,
  rangeFrom,
  rangeTo,
} from "../../src/wire/header.ts";
import { receivedExpectation, receivedFlow } from "./attributes.ts";
import {
  type DecodedMessage,
  type Node,
  type RawMessage,
  readDecoded,
  readMessages,
  recordingNames,
} from "./recording.ts";

const TYPES = { CT_NEW, CT_UPDATE, CT_DESTROY, EXP_NEW, EXP_UPDATE, EXP_DESTROY, CTL };
const FLAGS: Readonly<Record<string, number>> = {
  RESYNC: FLAG_RESYNC,
  NACK: FLAG_NACK,
  ACK: FLAG_ACK,
  ALIVE: FLAG_ALIVE,
  HELLO: FLAG_HELLO,
  HELLO_BACK: FLAG_HELLO_BACK,
};

const tapped = recordingNames.flatMap((name) => (["f1", "f2"] as const).map((node) => [name, node] as const));

test("the recordings are all there", () => {
  expect(recordingNames).toHaveLength(13);
});

describe.each(tapped)("%s, tapped at %s", (name: string, node: Node) => {
  const messages = [...readMessages(name, node)];
  const decoded = readDecoded(name, node);
  const pairs = messages.map((message, i) => [message, decoded[i]] as const);

  test("has the messages another decoder found, in its order", () => {
    expect(messages.map(describeHeader)).toEqual(decoded.map(expectedHeader));
  });

  test("every conntrack message decodes to what its attributes say", () => {
    const flow = new Flow();
    for (const [{ view }, { attrs, type }] of pairs) {
      if (attrs === undefined || !type.startsWith("CT_")) continue;
      expect(decodeFlow(view, 0, view.byteLength, flow)).toBe("ok");
      expect(flow.words).toEqual(receivedFlow(attrs).words);
    }
  });

  test("every expectation decodes to what its attributes say", () => {
    for (const [{ view }, { attrs, type }] of pairs) {
      if (attrs === undefined || !type.startsWith("EXP_")) continue;
      expect(decodeExpectation(view, 0, view.byteLength)).toEqual(receivedExpectation(attrs));
    }
  });

  test("every message is written again byte for byte", () => {
    for (const { view } of messages) {
      const type = headerType(view, 0);
      if (type === CTL) expect(rewriteControl(view)).toEqual(hex(view));
      if (type <= CT_DESTROY) expect(rewriteFlow(view)).toEqual(hex(view));
      else if (type <= EXP_DESTROY) expect(rewriteExpectation(view)).toEqual(hex(view));
    }
  });
});

function describeHeader(message: RawMessage): object {
  const { view } = message;
  expect(headerVersion(view, 0)).toBe(PROTOCOL_VERSION);
  const flags = headerFlags(view, 0);
  const ranged = (flags & (FLAG_ACK | FLAG_NACK)) !== 0;
  return {
    frame: message.frame,
    type: headerType(view, 0),
    flags,
    lengthBytes: headerLength(view, 0),
    seq: headerSeq(view, 0),
    ...(ranged && { from: rangeFrom(view, 0), to: rangeTo(view, 0) }),
  };
}

function expectedHeader(message: DecodedMessage): object {
  const { flags, from, to } = message;
  const ranged = flags.includes("ACK") || flags.includes("NACK");
  return {
    frame: message.frame,
    type: TYPES[message.type],
    flags: flags.reduce((bits, flag) => bits | FLAGS[flag], 0),
    lengthBytes: message.len,
    seq: message.seq,
    ...(ranged && { from, to }),
  };
}

/** Written over 0xff, so that every byte that is not written shows. */
function rewriteControl(view: DataView): string {
  const bytes = new Uint8Array(headerLength(view, 0)).fill(0xff);
  const out = new DataView(bytes.buffer);
  putHeader(out, 0, headerType(view, 0), headerFlags(view, 0), bytes.length, headerSeq(view, 0));
  if (bytes.length === 16) putRange(out, 0, rangeFrom(view, 0), rangeTo(view, 0));
  return bytes.toHex();
}

/**
 * The flow as the sender's kernel had it: its reply tuple complete. Whether the sender tracked windows shows in the
 * message. Attributes of translation that the message does not have must not appear, so the status decides, as it did there.
 */
function rewriteFlow(view: DataView): string {
  const flow = new Flow();
  expect(decodeFlow(view, 0, view.byteLength, flow)).toBe("ok");
  const windowTracking = flow.has(HAS_WSCALE);
  deriveReply(flow.words);
  flow.words[HAS] &= ~(HAS_SNAT_ADDR | HAS_DNAT_ADDR | HAS_SNAT_PORT | HAS_DNAT_PORT);
  flow.words[HAS] |= HAS_REPLY;
  const bytes = new Uint8Array(MESSAGE_MAX_BYTES).fill(0xff);
  const out = new DataView(bytes.buffer);
  const lengthBytes = encodeFlow(flow, out, 0, windowTracking);
  putHeader(out, 0, headerType(view, 0), headerFlags(view, 0), lengthBytes, headerSeq(view, 0));
  return bytes.subarray(0, lengthBytes).toHex();
}

function rewriteExpectation(view: DataView): string {
  const expectation = decodeExpectation(view, 0, view.byteLength);
  if (typeof expectation === "string") throw new Error(expectation);
  const bytes = new Uint8Array(MESSAGE_MAX_BYTES).fill(0xff);
  const out = new DataView(bytes.buffer);
  const lengthBytes = encodeExpectation(expectation, out, 0);
  putHeader(out, 0, headerType(view, 0), headerFlags(view, 0), lengthBytes, headerSeq(view, 0));
  return bytes.subarray(0, lengthBytes).toHex();
}

const hex = (view: DataView): string => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).toHex();
