import { expect, test } from "bun:test";
import fc from "fast-check";
import { FRAME_BAD_SIZE, FRAME_TRUNCATED, frameLength, headerVersion, PROTOCOL_VERSION } from "./header.ts";
import {
  HELLO_BYTES,
  KIND_DATA,
  KIND_HELLO,
  putHello,
  putSeal,
  readHello,
  SEAL_OVERHEAD_BYTES,
  sealCounter,
  sealForm,
  sealIsOf,
  sealKeyId,
} from "./seal.ts";

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const session = fc.tuple(word, word).map((words) => Uint32Array.from(words));
const challenge = fc.tuple(word, word, word, word).map((words) => Uint32Array.from(words));
const counter = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER));
const offset = 3;
const make = (bytes: number): DataView => new DataView(new ArrayBuffer(bytes + 2 * offset));

test("a header says what was put into it", () => {
  fc.assert(
    fc.property(word, session, counter, fc.integer({ min: SEAL_OVERHEAD_BYTES, max: 2_000 }), (id, of, n, length) => {
      const view = make(length);
      putSeal(view, offset, KIND_DATA, length, id, of, n);
      expect(sealForm(view, offset, length)).toBe("data");
      expect([sealKeyId(view, offset), sealCounter(view, offset)]).toEqual([id, n]);
      expect(sealIsOf(view, offset, of)).toBeTrue();
      expect(sealIsOf(view, offset, Uint32Array.of(of[0]! ^ 1, of[1]!))).toBeFalse();
      expect(sealIsOf(view, offset, Uint32Array.of(of[0]!, of[1]! ^ 1))).toBeFalse();
    }),
  );
});

test("so does a greeting", () => {
  fc.assert(
    fc.property(session, session, challenge, challenge, (of, knows, said, echo) => {
      const view = make(HELLO_BYTES);
      putSeal(view, offset, KIND_HELLO, HELLO_BYTES, 1, of, 1);
      putHello(view, offset, { knows, challenge: said, echo });
      expect(sealForm(view, offset, HELLO_BYTES)).toBe("hello");
      expect(readHello(view, offset)).toEqual({ session: of, knows, challenge: said, echo });
    }),
  );
});

test("a node without a key skips a sealed datagram as one message of a version it does not know", () => {
  const view = make(500);
  for (const [kind, length] of [
    [KIND_DATA, 500],
    [KIND_DATA, SEAL_OVERHEAD_BYTES],
    [KIND_HELLO, HELLO_BYTES],
  ] as const) {
    putSeal(view, offset, kind, length, 0x1a2b3c4d, Uint32Array.of(1, 2), 3);
    expect(frameLength(view, offset, offset + length)).toBe(length);
    expect(headerVersion(view, offset)).not.toBe(PROTOCOL_VERSION);
  }
});

test("whatever has the version of a clear message is called clear, and whatever is called sealed holds its parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, looksSealed) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      if (looksSealed && bytes.length >= 24) {
        putSeal(view, 0, bytes[0]! % 4, bytes.length, 1, Uint32Array.of(1, 2), bytes[1]!);
      }
      const form = sealForm(view, 0, bytes.length);
      if (form === "data") expect(bytes.length).toBeGreaterThanOrEqual(SEAL_OVERHEAD_BYTES);
      if (form === "hello") expect(bytes.length).toBe(HELLO_BYTES);
      if (bytes.length > 0) expect(form === "clear").toBe(bytes[0]! >>> 4 === PROTOCOL_VERSION);
      if (form !== "clear") {
        const clear = frameLength(view, 0, bytes.length);
        const skipped = [FRAME_TRUNCATED, FRAME_BAD_SIZE, bytes.length].includes(clear);
        if (form !== "malformed") expect(skipped).toBeTrue();
      }
    }),
  );
});

test("a counter beyond what a number holds is no counter", () => {
  const view = make(100);
  putSeal(view, offset, KIND_DATA, 100, 1, Uint32Array.of(1, 2), Number.MAX_SAFE_INTEGER);
  expect(sealForm(view, offset, 100)).toBe("data");
  view.setUint32(offset + 16, 0x20_0000);
  expect(sealForm(view, offset, 100)).toBe("malformed");
});
