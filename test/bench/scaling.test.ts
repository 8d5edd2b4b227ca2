import { expect, test } from "bun:test";
import { inventMeasure } from "./invented-results.ts";
import { needsOnPaper, scaleSeries } from "./scaling.ts";
import { scaleTicks, standingOf } from "./standing.ts";
import { summarizeMeasure } from "./verdict.ts";

const seriesOf = (costs: Readonly<Record<string, number>>) => {
  const rows = Object.entries(costs).map(([id, cost]) => ({ id, readings: { ctsync: [cost] } }));
  return scaleSeries(summarizeMeasure(inventMeasure("S", "", rows)));
};

test("rows are one series for each kind, from the smallest table to the largest", () => {
  const series = seriesOf({ "commit-100000": 2, "cpu-sender-10000": 3, "commit-10000": 1 });
  expect(series.map(({ kind }) => kind)).toEqual(["commit", "cpu-sender"]);
  expect(series[0]!.points.map(({ flowCount }) => flowCount)).toEqual([10_000, 100_000]);
});

test("a need is that of the largest table, and more if cost grows on as in the last step", () => {
  const needs = needsOnPaper(seriesOf({ "commit-100000": 4, "commit-1000000": 5, "cpu-sender-1000000": 10 }));
  expect(needs).toEqual([
    { need: "commit", subject: "ctsync", linear: "50 s", growing: "62.5 s" },
    { need: "CPU of the sender", subject: "ctsync", linear: "2 cores", growing: undefined },
  ]);
});

test("a cost that shrank is not hoped to shrink on", () => {
  const [need] = needsOnPaper(seriesOf({ "memory-internal-10000": 300, "memory-internal-100000": 200 }));
  expect(need).toMatchObject({ linear: "2 GB", growing: undefined });
});

test("times better is the inverse ratio of a cost and the ratio of a rate, with goals and limit on the same scale", () => {
  const readings = { conntrackd: [10], ctsync: [4], limit: [2] };
  const goals = [{ factor: 0.5, of: "conntrackd" } as const, { absolute: 5 }, { factor: 2, of: "limit" } as const];
  const [cost, rate] = summarizeMeasure(
    inventMeasure("M1", "", [
      { id: "cost", goals, readings },
      { id: "rate", better: "higher", readings },
    ]),
  );
  expect(standingOf(cost!)).toEqual({ median: 2.5, min: 2.5, max: 2.5, goals: [2, 2, 2.5], limit: 5 });
  expect(standingOf(rate!)).toMatchObject({ median: 0.4, limit: 0.2 });
  expect(scaleTicks([standingOf(cost!)!, standingOf(rate!)!])).toEqual([0.2, 0.5, 1, 2, 5]);
  expect(scaleTicks([])).toEqual([0.5, 1, 2]);
});
