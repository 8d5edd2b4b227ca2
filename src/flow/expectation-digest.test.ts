import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryExpectation, makeExpectation } from "../../test/make-expectation.ts";
import { viewOf } from "../../test/outbound.ts";
import { decodeExpectation, encodeExpectation } from "../wire/expectation.ts";
import type { Expectation } from "./expectation.ts";
import { expectationDigest, expectationKeyDigest } from "./expectation-digest.ts";

const digests = (expectation: Expectation): [number, number] => {
  const key = expectationKeyDigest(expectation);
  return [key, expectationDigest(expectation, key)];
};

test("an expectation that was sent to an extended peer has the digests there that it has here", () => {
  const view = viewOf(new Uint8Array(1_024));
  fc.assert(
    fc.property(arbitraryExpectation(15), (sent) => {
      const bytes = encodeExpectation(sent, view, 0, true);
      const read = decodeExpectation(view, 0, bytes, true);
      if (typeof read === "string") throw new Error(read);
      expect(digests(read)).toEqual(digests(sent));
    }),
    { numRuns: 2_000 },
  );
});

describe("the digest of an expectation", () => {
  const one = makeExpectation(1, { expectfn: "nat-follow-master" });
  const { expected, master, mask } = one;

  test.each([
    ["flags", { flags: 1 }],
    ["class", { class: 1 }],
    ["helper", { helper: "ftp-1" }],
    ["no helper", { helper: undefined }],
    ["function", { expectfn: "sip" }],
    ["NAT", { nat: { tuple: expected, direction: "orig" } }],
  ] as const)("tells another one apart: %s", (_, other) => {
    const [key, content] = digests({ ...one, ...other } as Expectation);
    expect(key).toBe(digests(one)[0]);
    expect(content).not.toBe(digests(one)[1]);
  });

  test("tells NAT of the two directions apart", () => {
    const [orig, reply] = (["orig", "reply"] as const).map((direction) =>
      digests({ ...one, nat: { tuple: expected, direction } }),
    );
    expect(orig![1]).not.toBe(reply![1]);
  });

  test.each([
    ["expected tuple", { expected: { ...expected, ports: 9 } }],
    ["master", { master: { ...master, ports: 9 } }],
    ["mask", { mask: { ...mask, ports: 9 } }],
  ] as const)("has another key for another %s", (_, other) => {
    expect(digests({ ...one, ...other })[0]).not.toBe(digests(one)[0]);
  });

  test("says nothing of the time that is left", () => {
    expect(digests({ ...one, timeoutSeconds: 9 })).toEqual(digests(one));
  });
});
