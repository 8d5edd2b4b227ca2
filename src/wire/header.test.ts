import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  CT_UPDATE,
  CTL,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  FLAG_NACK,
  FLAG_RESYNC,
  FRAME_BAD_SIZE,
  FRAME_TRUNCATED,
  frameLength,
  headerFlags,
  headerLength,
  headerSeq,
  headerType,
  headerVersion,
  putHeader,
  putRange,
  rangeFrom,
  rangeTo,
} from "./header.ts";

const viewOf = (hex: string): DataView => new DataView(Uint8Array.fromHex(hex.replaceAll(" ", "")).buffer);
const frame = (hex: string): number => {
  const view = viewOf(hex);
  return frameLength(view, 0, view.byteLength);
};

test("what putHeader and putRange write, the readers read", () => {
  const uint32 = fc.integer({ min: 0, max: 0xffffffff });
  const header = fc.tuple(
    fc.integer({ min: 0, max: 15 }),
    fc.integer({ min: 0, max: 255 }),
    fc.integer({ min: 0, max: 0xffff }),
  );
  fc.assert(
    fc.property(header, uint32, uint32, uint32, ([type, flags, lengthBytes], seq, from, to) => {
      const view = new DataView(new ArrayBuffer(20));
      putHeader(view, 4, type, flags, lengthBytes, seq);
      putRange(view, 4, from, to);
      expect(headerVersion(view, 4)).toBe(1);
      expect(headerType(view, 4)).toBe(type);
      expect(headerFlags(view, 4)).toBe(flags);
      expect(headerLength(view, 4)).toBe(lengthBytes);
      expect(headerSeq(view, 4)).toBe(seq);
      expect([rangeFrom(view, 4), rangeTo(view, 4)]).toEqual([from, to]);
      expect(view.getUint32(0)).toBe(0);
    }),
  );
});

describe("control messages as conntrackd sends them", () => {
  test("a keep-alive", () => {
    const view = new DataView(new ArrayBuffer(8));
    putHeader(view, 0, CTL, FLAG_ALIVE, 8, 1795362480);
    expect(new Uint8Array(view.buffer).toHex()).toBe("1a1000086b030eb0");
  });

  test("the first answer of a restarted node", () => {
    const view = new DataView(new ArrayBuffer(16));
    putHeader(view, 0, CTL, FLAG_ACK | FLAG_HELLO | FLAG_HELLO_BACK, 16, 1795362567);
    putRange(view, 0, 1795362567, 1795362567);
    expect(new Uint8Array(view.buffer).toHex()).toBe("1a6800106b030f076b030f076b030f07");
  });

  test("an ACK and a NACK in one datagram follow each other by their lengths", () => {
    const view = viewOf("1a0800106b030f5b6b030f926b030f92 1a0400106b030f5c6b030f936b030f93");
    expect(frameLength(view, 0, 32)).toBe(16);
    expect(frameLength(view, 16, 32)).toBe(16);
    expect(headerFlags(view, 16)).toBe(FLAG_NACK);
    expect([rangeFrom(view, 16), rangeTo(view, 16)]).toEqual([1795362707, 1795362707]);
  });
});

describe("frameLength", () => {
  test("is truncated with fewer than 8 bytes left", () => {
    expect(frame("10000034000013")).toBe(FRAME_TRUNCATED);
    expect(frame("")).toBe(FRAME_TRUNCATED);
  });

  test("is a bad size when the length is 0, below a header, or more than is left", () => {
    expect(frame("10000000 00001389")).toBe(FRAME_BAD_SIZE);
    expect(frame("10000007 00001389")).toBe(FRAME_BAD_SIZE);
    expect(frame("10000009 00001389")).toBe(FRAME_BAD_SIZE);
    expect(frame("10000008 00001389")).toBe(8);
    expect(frame("1a080000 00001389")).toBe(FRAME_BAD_SIZE);
  });

  test.each([FLAG_ACK, FLAG_NACK, FLAG_RESYNC])("wants a range of control flag %d", (flag) => {
    const view = new DataView(new ArrayBuffer(24));
    putHeader(view, 0, CTL, flag | FLAG_HELLO, 8, 1);
    expect(frameLength(view, 0, 8)).toBe(FRAME_TRUNCATED);
    expect(frameLength(view, 0, 24)).toBe(FRAME_BAD_SIZE);
    putHeader(view, 0, CTL, flag, 16, 1);
    expect(frameLength(view, 0, 24)).toBe(16);
    putHeader(view, 0, CTL, flag, 24, 1);
    expect(frameLength(view, 0, 24)).toBe(24);
  });

  test("wants no range of a keep-alive, nor of data whose flags look like an ACK's", () => {
    const view = new DataView(new ArrayBuffer(8));
    putHeader(view, 0, CTL, FLAG_ALIVE, 8, 1);
    expect(frameLength(view, 0, 8)).toBe(8);
    putHeader(view, 0, CT_UPDATE, FLAG_ACK, 8, 1);
    expect(frameLength(view, 0, 8)).toBe(8);
  });

  test("never says more than is left, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const lengthBytes = frameLength(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
        expect(lengthBytes).toBeLessThanOrEqual(bytes.length);
        if (lengthBytes >= 0) expect(lengthBytes).toBeGreaterThanOrEqual(8);
      }),
    );
  });
});
