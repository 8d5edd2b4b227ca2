/** Reading of captures, against files made here byte by byte. */
import { expect, test } from "bun:test";
import { CT_NEW, CTL, FLAG_ALIVE, putHeader } from "../../src/wire/header.ts";
import { longestGapMs } from "./gaps.ts";
import { datagrams, lastPacketMs } from "./pcap.ts";

const FRAME_HEADERS_BYTES = 14 + 20 + 8;

/** A capture of one Ethernet frame a payload, `ms` after the second 1,700,000,000. */
function capture(packets: readonly { readonly ms: number; readonly payload: Uint8Array }[], l4proto = 17): Uint8Array {
  const frames = packets.map(({ ms, payload }) => {
    const packet = new Uint8Array(16 + FRAME_HEADERS_BYTES + payload.length);
    const view = new DataView(packet.buffer);
    view.setUint32(0, 1_700_000_000, true);
    view.setUint32(4, Math.round(ms * 1e6), true);
    view.setUint32(8, packet.length - 16, true);
    view.setUint32(12, packet.length - 16, true);
    view.setUint16(16 + 12, 0x0800);
    view.setUint8(16 + 14, 0x45);
    view.setUint8(16 + 14 + 9, l4proto);
    packet.set(payload, 16 + FRAME_HEADERS_BYTES);
    return packet;
  });
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xa1b23c4d, true);
  view.setUint32(20, 1, true);
  return Buffer.concat([header, ...frames]);
}

function message(type: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(8);
  putHeader(new DataView(bytes.buffer), 0, type, flags, bytes.length, 1);
  return bytes;
}

test("each datagram comes with its payload and its time to the nanosecond", () => {
  const payloads = [Uint8Array.of(1, 2, 3), Uint8Array.of()];
  const found = [...datagrams(capture(payloads.map((payload, i) => ({ ms: i + 0.000_001, payload }))))];
  expect(found.map(({ view, at, end }) => new Uint8Array(view.buffer, view.byteOffset + at, end - at))).toEqual(
    payloads,
  );
  expect(found.map(({ atNs }) => atNs)).toEqual([1_700_000_000_000_000_001n, 1_700_000_000_001_000_001n]);
});

test("a packet that is only half written yet does not count", () => {
  const file = capture([1, 2].map((ms) => ({ ms, payload: Uint8Array.of(1, 2, 3) })));
  expect(lastPacketMs(file)).toBe(1_700_000_000_002);
  expect(lastPacketMs(file.subarray(0, -1))).toBe(1_700_000_000_001);
  expect([...datagrams(file.subarray(0, -1))]).toHaveLength(1);
  expect(lastPacketMs(file.subarray(0, 10))).toBe(0);
});

test("what is no UDP is left out", () => {
  expect([...datagrams(capture([{ ms: 1, payload: message(CT_NEW) }], 6))]).toEqual([]);
});

test("heartbeats end no gap, and a message behind one does", () => {
  const alive = message(CTL, FLAG_ALIVE);
  const flow = message(CT_NEW);
  const file = capture([
    { ms: 0, payload: flow },
    { ms: 2, payload: flow },
    { ms: 5, payload: alive },
    { ms: 9, payload: Buffer.concat([alive, flow]) },
    { ms: 10, payload: flow },
  ]);
  expect(longestGapMs([...datagrams(file)])).toBe(7);
});

test("a capture in which nothing is replicated has no gap to tell", () => {
  const file = capture([{ ms: 0, payload: message(CT_NEW) }]);
  expect(() => longestGapMs([...datagrams(file)])).toThrow("nothing was replicated");
});
