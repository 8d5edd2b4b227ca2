import { expect, test } from "bun:test";
import { inPlace } from "./watch.ts";

test("a screen is laid over the one before, and no longer than the terminal", () => {
  expect(inPlace("a\nb\nc", 24)).toBe("\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J");
  expect(inPlace("a\nb\nc", 3)).toBe("\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
});
