import { describe, expect, test } from "bun:test";
import { type InventedRow, inventMeasure } from "./invented-results.ts";
import type { Goal } from "./measure.ts";
import { summarizeMeasure, tally, tallyText } from "./verdict.ts";

const judge = (row: Omit<InventedRow, "id">) => summarizeMeasure(inventMeasure("M1", "", [{ id: "x", ...row }]))[0]!;
const verdict = (goal: Goal, row: Omit<InventedRow, "id">) => judge({ ...row, goals: [goal] }).goals[0]!.verdict;

describe("a goal", () => {
  const half: Goal = { factor: 0.5, of: "conntrackd" };

  test("of a cost is met up to the factor, of a rate from it", () => {
    expect(verdict(half, { readings: { conntrackd: [10], ctsync: [5] } })).toBe("met");
    expect(verdict(half, { readings: { conntrackd: [10], ctsync: [5.1] } })).toBe("missed");
    expect(verdict(half, { better: "higher", readings: { conntrackd: [10], ctsync: [5] } })).toBe("met");
    expect(verdict(half, { better: "higher", readings: { conntrackd: [10], ctsync: [4.9] } })).toBe("missed");
  });

  test("is judged by the median of the ratios within each repeat", () => {
    expect(verdict(half, { readings: { conntrackd: [10, 100, 1_000], ctsync: [4, 40, 900] } })).toBe("met");
  });

  test("that is absolute needs no other subject", () => {
    expect(verdict({ absolute: 10 }, { readings: { ctsync: [9, 30, 10] } })).toBe("met");
    expect(verdict({ absolute: 10 }, { readings: { ctsync: [9, 30, 11] } })).toBe("missed");
  });

  test("is not measured where a reading of either side is missing", () => {
    expect(verdict(half, { readings: { ctsync: [5] } })).toBe("not measured");
    expect(verdict(half, { readings: { conntrackd: [5], ctsync: [undefined] } })).toBe("not measured");
  });

  test("beside a zero is judged without a ratio", () => {
    expect(verdict(half, { readings: { conntrackd: [0], ctsync: [0] } })).toBe("met");
    expect(verdict(half, { readings: { conntrackd: [0], ctsync: [1] } })).toBe("missed");
  });
});

test("a row is summed up by subject, and goals are told in its unit", () => {
  const found = judge({
    unit: "ms",
    goals: [{ absolute: 10 }, { factor: 2, of: "limit" }],
    readings: { conntrackd: [8, 10], ctsync: [4, 4], limit: [2, 4] },
  });
  expect(found.subjects.conntrackd).toEqual({ median: 9, min: 8, max: 10, count: 2 });
  expect(found.ratios.limit).toEqual({ median: 1.5, min: 1, max: 2, count: 2 });
  expect(found.goals.map(({ text }) => text)).toEqual(["≤ 10 ms", "≤ 2 × limit"]);
  expect(tallyText(tally([found]))).toBe("2 of 2 goals met");
});

test("what is missed or not measured is told", () => {
  const missed = judge({ goals: [{ absolute: 1 }], readings: { ctsync: [2] } });
  const unmeasured = judge({ goals: [{ absolute: 1 }], readings: {} });
  expect(tallyText(tally([missed, unmeasured]))).toBe("0 of 2 goals met, 1 missed, 1 not measured");
});
