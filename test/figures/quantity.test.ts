import { expect, test } from "bun:test";
import { formatDuration, formatQuantity, formatSummary } from "./quantity.ts";

test.each([
  [61.4962, "µs", "61.5 µs"],
  [0.06812, "s", "0.0681 s"],
  [138_812, "/s", "139,000/s"],
  [199_999, "", "199,999"],
  [1.2345, "", "1.23"],
  [528.4, "bytes", "528 bytes"],
  [250_000, "bytes", "250 kB"],
  [67_012_345, "bytes", "67 MB"],
  [5_812_345_678, "bytes", "5.81 GB"],
  [-1_200_000, "bytes", "-1.2 MB"],
])("%d of unit %j reads %s", (value, unit, text) => {
  expect(formatQuantity(value, unit)).toBe(text);
});

test("a spread is told in the unit of its median, and not where there is none", () => {
  expect(formatSummary({ median: 67e6, min: 66.4e6, max: 68e6, count: 3 }, "bytes")).toBe("67 MB (66.4 to 68)");
  expect(formatSummary({ median: 5, min: 5, max: 5, count: 1 }, "µs")).toBe("5 µs");
});

test.each([
  [6_600, "0:07"],
  [750_000, "12:30"],
  [3_723_000, "1:02:03"],
])("%d ms last %s", (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});
