import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MESSAGE_MAX_BYTES } from "./encode.ts";
import {
  AT_EPOCH,
  AT_FIRST_KEY,
  AT_LAST_KEY,
  AT_PAIRS,
  AT_SUMS,
  decodeExtension,
  EXT,
  EXT_ASK,
  EXT_LIST,
  EXT_PREPARE,
  EXT_PREPARED,
  EXT_STATE,
  EXT_SUMS,
  EXT_VERDICT,
  EXT_WANT,
  ExtensionMessage,
  encodeExtension,
  LIST_PAIRS_MAX,
  SUMS,
  WANT_KEYS_MAX,
} from "./extension.ts";
import { frameLength, headerFlags, headerSeq, headerType } from "./header.ts";

const AT = 3; // Anywhere in a datagram.
const word = fc.integer({ min: 0, max: 0xffffffff });
const byte = fc.integer({ min: 0, max: 255 });

interface Parts {
  readonly subtype: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly words: readonly number[];
}

const wordsOf = (count: number) => fc.array(word, { minLength: count, maxLength: count });
const ordered = (words: readonly number[]): number[] => {
  const [first, last] = [words[AT_FIRST_KEY], words[AT_LAST_KEY]].toSorted((x, y) => x - y);
  return words.with(AT_FIRST_KEY, first).with(AT_LAST_KEY, last);
};

/** Every message that a node may send. */
const sendable: fc.Arbitrary<Parts> = fc.oneof(
  fc.record({
    subtype: fc.constant(EXT_STATE),
    a: fc.constant(1),
    b: byte,
    c: byte,
    words: wordsOf(12).map((words) => words.with(AT_EPOCH, words[AT_EPOCH] | 1).map((value) => value >>> 0)),
  }),
  ...[EXT_SUMS, EXT_ASK].map((subtype) =>
    fc.record({
      subtype: fc.constant(subtype),
      a: fc.integer({ min: 0, max: 1 }),
      b: fc.integer({ min: 0, max: SUMS - 1 }),
      c: fc.constant(0),
      words: wordsOf(subtype === EXT_SUMS ? AT_SUMS + SUMS : 3),
    }),
  ),
  fc.integer({ min: 0, max: LIST_PAIRS_MAX }).chain((a) =>
    fc.record({
      subtype: fc.constant(EXT_LIST),
      a: fc.constant(a),
      b: fc.constant(0),
      c: fc.constant(0),
      words: wordsOf(AT_PAIRS + 2 * a).map(ordered),
    }),
  ),
  fc.integer({ min: 0, max: WANT_KEYS_MAX }).chain((a) =>
    fc.record({
      subtype: fc.constant(EXT_WANT),
      a: fc.constant(a),
      b: fc.constant(0),
      c: fc.constant(0),
      words: wordsOf(1 + a),
    }),
  ),
  ...[EXT_PREPARE, EXT_PREPARED].map((subtype) =>
    fc.record({
      subtype: fc.constant(subtype),
      a: fc.constant(0),
      b: fc.constant(0),
      c: fc.constant(0),
      words: wordsOf(subtype === EXT_PREPARE ? 2 : 4),
    }),
  ),
  fc.record({
    subtype: fc.constant(EXT_VERDICT),
    a: fc.integer({ min: 0, max: SUMS }),
    b: fc.constant(0),
    c: fc.constant(0),
    words: wordsOf(4),
  }),
);

function encoded(parts: Parts, seq = 7): { view: DataView; bytes: number } {
  const message = new ExtensionMessage();
  message.begin(parts.subtype, parts.a, parts.b);
  message.c = parts.c;
  message.words.set(parts.words);
  message.count = parts.words.length;
  const view = new DataView(new ArrayBuffer(1_024));
  return { view, bytes: encodeExtension(message, view, AT, 0x20, seq) };
}

const decoded = ({ subtype, a, b, c, words, count }: ExtensionMessage): Parts => ({
  subtype,
  a,
  b,
  c,
  words: Array.from(words.slice(0, count)),
});

describe("extension messages", () => {
  test("decode(encode(message)) is the message, in a frame that fits where a flow's message fits", () => {
    fc.assert(
      fc.property(sendable, word, (parts, seq) => {
        const { view, bytes } = encoded(parts, seq);
        expect(bytes).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
        expect(frameLength(view, AT, AT + bytes)).toBe(bytes);
        expect([headerType(view, AT), headerFlags(view, AT), headerSeq(view, AT)]).toEqual([EXT, 0x20, seq]);
        const message = new ExtensionMessage();
        expect(decodeExtension(view, AT, bytes, message)).toBe("ok");
        expect(decoded(message)).toEqual(parts);
      }),
    );
  });

  test("a message that was cut short is refused", () => {
    fc.assert(
      fc.property(sendable, fc.nat(), (parts, cut) => {
        const { view, bytes } = encoded(parts);
        expect(decodeExtension(view, AT, cut % bytes, new ExtensionMessage())).not.toBe("ok");
      }),
    );
  });

  test("a message of a later version may be longer", () => {
    const { view, bytes } = encoded({ subtype: EXT_VERDICT, a: 3, b: 0, c: 0, words: [1, 2, 3, 4] });
    const message = new ExtensionMessage();
    expect(decodeExtension(view, AT, bytes + 400, message)).toBe("ok");
    expect([message.a, ...message.words.slice(0, 3)]).toEqual([3, 1, 2, 3]);
  });

  test.each([0, 9, 200, 255])("subtype %d is unknown, not bad", (subtype) => {
    const view = new DataView(new ArrayBuffer(64));
    view.setUint8(8, subtype);
    expect(decodeExtension(view, 0, 32, new ExtensionMessage())).toBe("unknown");
  });

  test("nothing beyond the message is read, whatever its bytes", () => {
    const any = fc.uint8Array({ minLength: 12, maxLength: 400 });
    fc.assert(
      fc.property(any, fc.integer({ min: 1, max: 6 }), (bytes, subtype) => {
        const exact = new Uint8Array(bytes);
        exact[8] = subtype;
        decodeExtension(new DataView(exact.buffer, 0, exact.length), 0, exact.length, new ExtensionMessage());
      }),
    );
  });

  test.each<[string, Parts]>([
    ["STATE without an epoch", { subtype: EXT_STATE, a: 1, b: 0, c: 0, words: new Array(12).fill(0) }],
    ["STATE of version 0", { subtype: EXT_STATE, a: 0, b: 0, c: 0, words: new Array(12).fill(1) }],
    ["SUMS of a third level", { subtype: EXT_SUMS, a: 2, b: 0, c: 0, words: new Array(AT_SUMS + SUMS).fill(1) }],
    ["SUMS of a 65th group", { subtype: EXT_SUMS, a: 1, b: 64, c: 0, words: new Array(AT_SUMS + SUMS).fill(1) }],
    ["LIST that ends before it begins", { subtype: EXT_LIST, a: 0, b: 0, c: 0, words: [1, 1, 1, 9, 8] }],
    ["VERDICT over more than there is", { subtype: EXT_VERDICT, a: 65, b: 0, c: 0, words: [1, 1, 1] }],
  ])("%s is refused", (_, parts) => {
    const { view, bytes } = encoded(parts);
    expect(decodeExtension(view, AT, bytes, new ExtensionMessage())).toBe("badPayload");
  });
});
