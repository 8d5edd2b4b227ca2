import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CONTROL, isControl, NOTHING, ResendRing, slotOf } from "./resend-ring.ts";

describe.each([
  ["from 0", 0],
  ["over the end of 32 bits", 0xfffffffa],
])("numbers that count %s", (_, firstSeq) => {
  const at = (i: number): number => (firstSeq + i) >>> 0;

  test("name what was sent until it is taken, once", () => {
    const ring = new ResendRing(16, firstSeq);
    for (let i = 0; i < 12; i++) ring.append(i + 1, 0, 0);
    expect([ring.count, ring.end, ring.oldest, ring.span]).toEqual([12, at(12), at(0), 12]);
    expect([ring.peek(at(5)), ring.take(at(5)), ring.take(at(5))]).toEqual([6, 6, NOTHING]);
    expect([ring.count, ring.oldest]).toEqual([11, at(0)]);
    for (const i of [1, 0, 2]) ring.take(at(i));
    expect([ring.oldest, ring.span]).toEqual([at(3), 9]);
  });

  test("an empty ring's oldest number is the next one to send", () => {
    const ring = new ResendRing(4, firstSeq);
    expect([ring.oldest, ring.end, ring.span]).toEqual([at(0), at(0), 0]);
    for (let i = 0; i < 9; i++) {
      ring.append(1, 0, 0);
      ring.take(at(i));
    }
    expect([ring.oldest, ring.end, ring.span, ring.count]).toEqual([at(9), at(9), 0, 0]);
  });

  test("messages that need no acknowledgement use up numbers, and nothing waits for them", () => {
    const ring = new ResendRing(4, firstSeq);
    ring.append(NOTHING, 0, 0);
    ring.append(3, 0, 0);
    ring.append(NOTHING, 0, 0);
    expect([ring.count, ring.oldest, ring.end]).toEqual([1, at(1), at(3)]);
  });
});

test("a control message keeps its flags and its range, and is no flow", () => {
  const ring = new ResendRing(4, 100);
  ring.append((CONTROL | 0x04) >>> 0, 7, 0xfffffff0);
  ring.append(5 + 1, 0, 0);
  const control = ring.take(100);
  expect([isControl(control), control & 0xff, ring.from, ring.to]).toEqual([true, 0x04, 7, 0xfffffff0]);
  const flow = ring.take(101);
  expect([isControl(flow), slotOf(flow)]).toEqual([false, 5]);
});

test("does what a map by number would do, as long as its owner takes what stood in the way", () => {
  const doing = fc.record({ kind: fc.constantFrom("send", "send", "skip", "take"), pick: fc.nat({ max: 1_000 }) });
  fc.assert(
    fc.property(fc.nat({ max: 0xffffffff }), fc.array(doing, { maxLength: 120 }), (firstSeq, doings) => {
      const ring = new ResendRing(8, firstSeq);
      const model = new Map<number, number>();
      for (const { kind, pick } of doings) {
        const seqs = [...model.keys()];
        if (kind === "take") {
          if (seqs.length === 0) continue;
          const seq = seqs[pick % seqs.length];
          expect(ring.take(seq)).toBe(model.get(seq)!);
          model.delete(seq);
        } else {
          const lapped = (ring.end - ring.size) >>> 0;
          if (model.has(lapped)) {
            expect(ring.take(lapped)).toBe(model.get(lapped)!);
            model.delete(lapped);
          }
          if (kind === "send") model.set(ring.end, pick + 1);
          ring.append(kind === "send" ? pick + 1 : NOTHING, 0, 0);
        }
        expect(ring.count).toBe(model.size);
        expect(ring.oldest).toBe([...model.keys()][0] ?? ring.end);
      }
    }),
  );
});
