/** Expectations for tests: made from a few names, or arbitrary for properties. */
import fc from "fast-check";
import type { Expectation, ExpectationTuple } from "../src/flow/expectation.ts";
import { IPPROTO_TCP, portsWord } from "../src/flow/flow.ts";
import { encodeExpectation } from "../src/wire/expectation.ts";
import { putHeader } from "../src/wire/header.ts";
import { HOST, SERVER } from "./make-flow.ts";
import { type Bytes, viewOf } from "./outbound.ts";

/** Four words of an address that has one or four. */
export const address = (words: readonly number[]): readonly number[] => [...words, 0, 0, 0].slice(0, 4);

const tuple = (source: readonly number[], destination: readonly number[], ports: number): ExpectationTuple => ({
  family: source.length === 4 ? 6 : 4,
  source: address(source),
  destination: address(destination),
  l4proto: IPPROTO_TCP,
  ports,
});

/** Passive FTP: HOST, who has a session with SERVER, is expected to connect to this port of it. */
export function makeExpectation(port: number, more: Partial<Expectation> = {}): Expectation {
  return {
    master: tuple(HOST, SERVER, portsWord(40_000, 21)),
    expected: tuple(HOST, SERVER, portsWord(0, port)),
    mask: tuple([0xffffffff], [0xffffffff], portsWord(0, 0xffff)),
    timeoutSeconds: 300,
    flags: 0,
    class: 0,
    helper: "ftp",
    ...more,
  };
}

export function expectationMessage(type: number, seq: number, expectation: Expectation): Bytes {
  const bytes = new Uint8Array(512);
  const length = encodeExpectation(expectation, viewOf(bytes), 0);
  putHeader(viewOf(bytes), 0, type, 0, length, seq);
  return bytes.slice(0, length);
}

const uint32 = fc.integer({ min: 0, max: 0xffffffff });

const arbitraryTuple = (family: 4 | 6, l4proto: number): fc.Arbitrary<ExpectationTuple> => {
  const words = fc.array(uint32, { minLength: 4, maxLength: 4 });
  const any = family === 6 ? words : words.map(([first = 0]) => [first, 0, 0, 0]);
  return fc.record({
    family: fc.constant(family),
    source: any,
    destination: any,
    l4proto: fc.constant(l4proto),
    ports: uint32,
  });
};

/** Any expectation a kernel may have; a helper's name has at most so many characters. */
export const arbitraryExpectation = (helperCharacters: number): fc.Arbitrary<Expectation> =>
  fc
    .record({
      family: fc.constantFrom<4 | 6>(4, 6),
      master: fc.constantFrom(6, 17),
      l4proto: fc.constantFrom(6, 17, 47),
    })
    .chain(({ family, master, l4proto }) =>
      fc.record(
        {
          master: arbitraryTuple(family, master),
          expected: arbitraryTuple(family, l4proto),
          mask: arbitraryTuple(family, l4proto),
          timeoutSeconds: uint32,
          flags: fc.integer({ min: 0, max: 7 }),
          class: fc.integer({ min: 0, max: 3 }),
          nat: fc.record({
            tuple: arbitraryTuple(family, l4proto),
            direction: fc.constantFrom<"orig" | "reply">("orig", "reply"),
          }),
          helper: fc.stringMatching(new RegExp(`^[A-Za-z0-9.-]{1,${helperCharacters}}$`)),
          expectfn: fc.stringMatching(/^[a-z-]{1,27}$/),
        },
        { requiredKeys: ["master", "expected", "mask", "flags", "class"] },
      ),
    );
