import { expect, test } from "bun:test";
import fc from "fast-check";
import { CLAIM_BYTES, CLAIM_MAX, claimOf, putClaim } from "./claim.ts";

const MESSAGE_BYTES = 60;

test("a claim is found at the end of its message, whatever it is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (claim) => {
      const view = new DataView(new ArrayBuffer(MESSAGE_BYTES + CLAIM_BYTES));
      expect(putClaim(view, MESSAGE_BYTES, claim)).toBe(MESSAGE_BYTES + CLAIM_BYTES);
      expect(claimOf(view, 0, MESSAGE_BYTES + CLAIM_BYTES)).toBe(claim);
      expect(claimOf(view, 0, MESSAGE_BYTES)).toBe(0);
    }),
  );
});

test("one that is too high to be one is read as such", () => {
  const view = new DataView(new ArrayBuffer(MESSAGE_BYTES + CLAIM_BYTES));
  putClaim(view, MESSAGE_BYTES, CLAIM_MAX);
  view.setUint8(MESSAGE_BYTES + 4, 0x80);
  expect(claimOf(view, 0, MESSAGE_BYTES + CLAIM_BYTES)).toBeGreaterThan(CLAIM_MAX);
});

test("a message that is too short for one has none", () => {
  const view = new DataView(new ArrayBuffer(CLAIM_BYTES));
  putClaim(view, 0, 7);
  expect(claimOf(view, 0, CLAIM_BYTES)).toBe(0);
});
