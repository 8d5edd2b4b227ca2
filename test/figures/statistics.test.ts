import { expect, test } from "bun:test";
import { median, pairedRatios, summarize } from "./statistics.ts";

const readings = (...values: number[]) => values.map((value, at) => ({ repeat: at + 1, value }));

test("the median is the middle reading, or the mean of the middle two, whatever their order", () => {
  expect(median([9, 1, 10])).toBe(9);
  expect(median([10, 2, 9, 1])).toBe(5.5);
  expect(median([7])).toBe(7);
});

test("a summary keeps the whole range; of nothing there is none", () => {
  expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 });
  expect(summarize([])).toBeUndefined();
});

test("ratios are of readings of the same repeat, so a machine that slowed down for one repeat leaves them alone", () => {
  expect(pairedRatios(readings(5, 50, 5), readings(10, 100, 10))).toEqual([0.5, 0.5, 0.5]);
});

test("a repeat without a pair, and a ratio to zero or below, is left out", () => {
  expect(pairedRatios(readings(5, 6), [{ repeat: 2, value: 3 }])).toEqual([2]);
  expect(pairedRatios(readings(5, 6, -1), readings(0, -2, 4))).toEqual([]);
  expect(pairedRatios(readings(0), readings(4))).toEqual([0]);
});
