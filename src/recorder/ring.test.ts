import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeRecord, type FlightRecord, KINDS, RECORD_BYTES, TEXT_BYTES_MAX } from "./record.ts";
import { makeRing, offsetOf, readRing } from "./ring.ts";

const numberIn = fc.double({ noNaN: true });
const contents = fc.record({
  kind: fc.constantFrom(...KINDS),
  life: fc.nat(),
  atMs: numberIn,
  wallMs: numberIn,
  a: numberIn,
  b: numberIn,
  c: numberIn,
  d: numberIn,
  text: fc.string({ unit: "grapheme", maxLength: 20 }),
});
/** Records that follow each other. */
const history = (maxLength: number): fc.Arbitrary<FlightRecord[]> =>
  fc
    .tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.array(contents, { minLength: 1, maxLength }))
    .map(([first, all]) => all.map((record, i) => ({ ...record, seq: first + i })));

/** As the daemon writes: one after the other, each over what stood there. */
function written(records: readonly FlightRecord[], capacity: number): Uint8Array {
  const bytes = new Uint8Array(capacity * RECORD_BYTES);
  for (const record of records) encodeRecord(record, bytes, offsetOf(record.seq, capacity));
  return bytes;
}

describe("a ring", () => {
  test("gives back the newest records, in order, as they were", () => {
    fc.assert(
      fc.property(history(40), fc.integer({ min: 1, max: 24 }), (records, capacity) => {
        expect(readRing(written(records, capacity))).toEqual({ records: records.slice(-capacity), damaged: 0 });
      }),
    );
  });

  test("is in order of what happened, whatever its clocks say", () => {
    const record = { kind: "peer", life: 1, a: 0, b: 0, c: 0, d: 0, text: "" } as const;
    const wallMs = [5_000, 6_000, 1_000, 2_000]; // The clock was set back.
    const records = wallMs.map((ms, i) => ({ ...record, seq: i + 1, atMs: i, wallMs: ms }));
    expect(readRing(written(records, 8)).records.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  });

  test("cut off anywhere, loses what was cut and nothing else", () => {
    fc.assert(
      fc.property(history(24), fc.nat(), (records, cut) => {
        const bytes = written(records, 16);
        const length = cut % (bytes.length + 1);
        const kept = records.slice(-16).filter(({ seq }) => offsetOf(seq, 16) + RECORD_BYTES <= length);
        const ring = readRing(bytes.slice(0, length));
        expect(ring.records).toEqual(kept);
        expect(ring.damaged).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("with flipped bits, loses the records they are in and nothing else", () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(history(24), flips, (records, places) => {
        const before = written(records, 16);
        const bytes = before.slice();
        for (const [place, bit] of places) bytes[place % bytes.length] = bytes[place % bytes.length]! ^ (1 << bit);
        const isSame = (from: number): boolean =>
          before.subarray(from, from + RECORD_BYTES).every((byte, i) => byte === bytes[from + i]);
        const ring = readRing(bytes);
        expect(ring.records).toEqual(records.slice(-16).filter(({ seq }) => isSame(offsetOf(seq, 16))));
        const touched = Array.from({ length: 16 }, (_, slot) => slot * RECORD_BYTES).filter((from) => !isSame(from));
        expect(ring.damaged).toBe(touched.length);
      }),
    );
  });

  test("of any bytes at all can be read", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1_024 }), (bytes) => readRing(bytes).records.length === 0));
  });

  test("of another size takes over the newest", () => {
    fc.assert(
      fc.property(history(40), fc.integer({ min: 1, max: 50 }), (records, capacity) => {
        expect(readRing(makeRing(records, capacity))).toEqual({ records: records.slice(-capacity), damaged: 0 });
      }),
    );
  });
});

describe("a record", () => {
  const record: FlightRecord = {
    ...{ seq: 1, life: 1, kind: "role", atMs: 1.5, wallMs: 2, a: 0, b: 0, c: 0, d: 0, text: "ä".repeat(200) },
  };

  test("cuts a long text between two characters", () => {
    const bytes = makeRing([record], 1);
    expect(readRing(bytes).records[0]?.text).toBe("ä".repeat(TEXT_BYTES_MAX / 2));
    expect(readRing(makeRing([{ ...record, text: `a${record.text}` }], 1)).records[0]?.text).toBe(
      `a${"ä".repeat(TEXT_BYTES_MAX / 2 - 1)}`,
    );
  });

  test("of a kind that only a later version knows is kept as unknown", () => {
    expect(readRing(makeRing([{ ...record, kind: "unknown" }], 1)).records[0]?.kind).toBe("unknown");
  });
});
