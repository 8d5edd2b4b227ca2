/** The requests that commit an expectation, read again by the decoder of what the kernel says. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryExpectation } from "../../test/make-expectation.ts";
import type { Expectation } from "../flow/expectation.ts";
import { decodeExpectationMessage } from "./decode-expectation.ts";
import { addressFamilyOfExpectation, encodeNewExpectation } from "./encode-expectation.ts";
import { EXP_NEW } from "./expectation-attributes.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "./message-writer.ts";

function requestOf(expectation: Expectation): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter(MESSAGE_BYTES_MAX);
  writer.begin(EXP_NEW, 0, 1, addressFamilyOfExpectation(expectation));
  encodeNewExpectation(writer, expectation);
  writer.end();
  return writer.bytes.slice(0, writer.at);
}

const decode = (bytes: Uint8Array<ArrayBuffer>): Expectation | undefined =>
  decodeExpectationMessage(new DataView(bytes.buffer), 0, bytes.length);

test("a request is decoded as the expectation it was built from", () => {
  fc.assert(fc.property(arbitraryExpectation(15), (sent) => expect(decode(requestOf(sent))).toEqual(sent)));
});

test("a message is never read past its end, whatever byte is flipped, wherever it is cut", () => {
  fc.assert(
    fc.property(arbitraryExpectation(15), fc.nat(), fc.nat({ max: 255 }), fc.nat(), (sent, at, value, cut) => {
      const message = requestOf(sent);
      const room = message.length - 20;
      message[20 + (at % room)] = value;
      // The view ends with the message: a read behind it throws.
      decode(message);
      decode(message.slice(0, 20 + (cut % room)));
    }),
    { numRuns: 500 },
  );
});

test("what lacks a tuple, or is of another family, is no expectation", () => {
  fc.assert(
    fc.property(arbitraryExpectation(15), fc.constantFrom(0, 1, 2), (sent, which) => {
      const message = requestOf(sent);
      const tupleBytes = new DataView(message.buffer).getUint16(20, true);
      expect(decode(message.with(20 + which * tupleBytes + 2, 60))).toBeUndefined();
      expect(decode(message.with(16, 7))).toBeUndefined();
    }),
  );
});
