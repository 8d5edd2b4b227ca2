import { expect, test } from "bun:test";
import { bytesText, durationText } from "./units.ts";

test.each([
  [0, "0 ms"],
  [340.9, "340 ms"],
  [7000, "7 s"],
  [59_999, "59 s"],
  [192_000, "3 min 12 s"],
  [3_600_000, "1 h"],
  [187_200_000, "2 d 4 h"],
])("%d ms is %s", (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});

test.each([
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [2_097_152, "2 MiB"],
  [2_621_440, "2.5 MiB"],
  [5_497_558_138_880, "5120 GiB"],
])("%d bytes is %s", (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});
