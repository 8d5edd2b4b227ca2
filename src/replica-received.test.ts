/** Every message that is received raises exactly one counter, and a bad one changes nothing else. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { expectationMessage, makeExpectation } from "../test/make-expectation.ts";
import { give, keyOf, makeFlow } from "../test/make-flow.ts";
import { type Bytes, viewOf } from "../test/outbound.ts";
import { Node } from "../test/replica-node.ts";
import { Flow, HAS_MARK, HAS_STATUS, MARK, STATUS } from "./flow/flow.ts";
import { encodeFlow } from "./wire/encode.ts";
import * as header from "./wire/header.ts";

const numbered = (port: number): Flow => makeFlow({ ports: port });

function message(type: number, flags: number, seq: number, flow: Flow = makeFlow()): Bytes {
  const bytes = new Uint8Array(512);
  const length = encodeFlow(flow, viewOf(bytes), 0, false);
  header.putHeader(viewOf(bytes), 0, type, flags, length, seq);
  return bytes.slice(0, length);
}

function control(flags: number, seq: number, range?: readonly [number, number]): Bytes {
  const bytes = new Uint8Array(range === undefined ? header.HEADER_BYTES : header.CONTROL_BYTES);
  header.putHeader(viewOf(bytes), 0, header.CTL, flags, bytes.length, seq);
  if (range !== undefined) header.putRange(viewOf(bytes), 0, ...range);
  return bytes;
}

/** A message with one byte changed. */
const damaged = (bytes: Bytes, at: number, value: number): Bytes => bytes.with(at, value);
const joined = (...parts: readonly Bytes[]): Bytes => Uint8Array.from(parts.flatMap((part) => [...part]));

describe("received messages", () => {
  /** Our node before the peer's message 6001, which is the next one due. */
  const due = 6_001;
  const listening = (flowsMax = 16): Node => {
    const node = new Node(1_000, flowsMax);
    node.says();
    node.hears(control(header.FLAG_ALIVE | header.FLAG_HELLO_BACK, due - 1));
    return node;
  };
  const good = message(header.CT_NEW, 0, due);
  const addressAt = header.HEADER_BYTES;
  const protocolAt = good.toHex().indexOf("00050002") / 2;
  const noPorts = joined(damaged(good.slice(0, protocolAt + 8), 3, protocolAt + 8));

  /** Counters that changed. */
  function counted(node: Node, act: () => void): Record<string, number> {
    const before: Record<string, number> = { ...node.replica.counters.wire, ...node.replica.counters.cache };
    act();
    const after: Record<string, number> = { ...node.replica.counters.wire, ...node.replica.counters.cache };
    return Object.fromEntries(
      Object.entries(after)
        .map(([name, count]) => [name, count - before[name]] as const)
        .filter(([, count]) => count !== 0),
    );
  }

  test("a good one is counted as a message and as a flow, and nothing else", () => {
    const node = listening();
    expect(counted(node, () => node.hears(good))).toEqual({ datagrams: 1, messages: 1, flowsReceived: 1 });
    expect(node.externalKeys()).toEqual([keyOf(makeFlow())]);
  });

  /** Those whose end is known: what stands behind them in the datagram is heard. */
  test.each([
    ["badVersion", "version 0", damaged(good, 0, 0x00)],
    ["badVersion", "version 2", damaged(good, 0, 0x20)],
    ["badHeader", "type 6", damaged(good, 0, 0x16)],
    ["badHeader", "type 15", damaged(good, 0, 0x1f)],
    ["badHeader", "data with ALIVE", damaged(good, 1, header.FLAG_ALIVE)],
    ["badHeader", "control without a flag", control(0, due)],
    ["badHeader", "an ACK that ends before it begins", control(header.FLAG_ACK, due, [9, 8])],
    ["badPayload", "an attribute nobody knows", damaged(good, addressAt + 3, 33)],
    ["badPayload", "an attribute longer than the message", damaged(good, addressAt + 1, 0xff)],
    ["badPayload", "an attribute shorter than its own header", damaged(good, addressAt + 1, 3)],
    ["badPayload", "an address of five bytes", damaged(good, addressAt + 1, 9)],
    ["incomplete", "no attributes", control(0, due).with(0, 0x10)],
    ["incomplete", "TCP without ports", noPorts],
    ["late", "a number that was passed", message(header.CT_NEW, 0, due - 1)],
    ["expectationsReceived", "an expectation", expectationMessage(header.EXP_NEW, due, makeExpectation(2000))],
    ["badPayload", "an expectation with a flow's attributes", damaged(good, 0, 0x13)],
    ["incomplete", "an expectation without attributes", control(0, due).with(0, 0x13)],
  ] as const)("%s alone counts %s, and what follows in the datagram is heard", (name, _, bad) => {
    const node = listening();
    const changed = counted(node, () => node.hears(bad));
    expect(changed).toEqual({ datagrams: 1, ...(name === "badVersion" ? {} : { messages: 1 }), [name]: 1 });
    expect(node.replica.external.count).toBe(0);
    const other = makeFlow({ ports: 77 });
    node.hears(joined(bad, message(header.CT_NEW, 0, due + 1, other)));
    expect(node.externalKeys()).toEqual([keyOf(other)]);
  });

  /** Those whose end nobody knows: what stands behind them is lost with them. */
  test.each([
    ["truncated", "an empty datagram", new Uint8Array(0)],
    ["truncated", "seven bytes", good.slice(0, 7)],
    ["truncated", "an ACK of fifteen bytes", damaged(control(header.FLAG_ACK, due, [1, 1]).slice(0, 15), 3, 15)],
    ["badSize", "a length of 0", joined(damaged(good, 3, 0), good)],
    ["badSize", "a length of 7", joined(damaged(good, 3, 7), good)],
    ["badSize", "a length beyond the datagram", damaged(good, 2, 0x10)],
    ["badSize", "a message cut off in the middle", good.slice(0, 20)],
    ["badSize", "a RESYNC of 8 bytes", joined(control(header.FLAG_RESYNC, due), good)],
  ] as const)("%s alone counts %s, and the rest of the datagram is lost", (name, _, datagram) => {
    const node = listening();
    expect(counted(node, () => node.hears(datagram))).toEqual({ datagrams: 1, [name]: 1 });
    expect(node.replica.external.count).toBe(0);
    node.hears(good);
    expect(node.replica.external.count).toBe(1);
  });

  test("whatever a datagram holds, every message of it is counted once and nothing breaks", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc
        .record({ at: fc.nat({ max: good.length - 1 }), value: fc.nat({ max: 255 }) })
        .map(({ at, value }) => damaged(good, at, value)),
    );
    const outcomes = ["badHeader", "badPayload", "incomplete", "late", "expectationsReceived", "flowsReceived"];
    const node = listening(64);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        const datagram = joined(...pieces.map((bytes) => Uint8Array.from(bytes)));
        let controls = 0;
        const changed = counted(node, () => {
          const view = viewOf(datagram);
          for (let at = 0, bytes = 0; at < datagram.length; at += bytes) {
            bytes = header.frameLength(view, at, datagram.length);
            if (bytes < 0) break;
            const isControl = header.headerType(view, at) === header.CTL && header.headerVersion(view, at) === 1;
            if (isControl) controls++;
          }
          node.hears(datagram);
        });
        const sum = outcomes.reduce((total, name) => total + (changed[name] ?? 0), 0);
        expect((changed.messages ?? 0) - sum).toBeWithin(0, controls + 1);
        expect((changed.truncated ?? 0) + (changed.badSize ?? 0)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 2_000 },
    );
  });

  test("a destroy of an unknown flow, and a flow too many, are counted", () => {
    const node = listening(1);
    expect(counted(node, () => node.hears(message(header.CT_DESTROY, 0, due)))).toMatchObject({ externalUnknown: 1 });
    node.hears(message(header.CT_NEW, 0, due + 1, numbered(1)));
    const full = counted(node, () => node.hears(message(header.CT_UPDATE, 0, due + 2, numbered(2))));
    expect(full).toEqual({ datagrams: 1, messages: 1, flowsReceived: 1, externalFull: 1 });
  });

  test("an update lays over, a new message replaces", () => {
    const node = listening();
    const marked = give(give(makeFlow(), HAS_MARK, MARK, 7), HAS_STATUS, STATUS, 4);
    node.hears(
      message(header.CT_UPDATE, 0, due, marked),
      message(header.CT_UPDATE, 0, due + 1, makeFlow({ status: 6 })),
    );
    const read = (): number[] => {
      const flow = new Flow();
      node.replica.external.read(node.replica.external.find(makeFlow()), flow, node.nowMs);
      return [flow.words[MARK], flow.words[STATUS]];
    };
    expect(read()).toEqual([7, 6]);
    node.hears(message(header.CT_NEW, 0, due + 2, makeFlow({ status: 2 })));
    expect(read()).toEqual([0, 2]);
  });
});
