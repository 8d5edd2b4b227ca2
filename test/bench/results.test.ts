import { expect, test } from "bun:test";
import { inventRun } from "./invented-results.ts";
import { keptMeasures } from "./results.ts";

test("measuring some again keeps the others, and says what they were measured with", () => {
  const earlier = inventRun();
  const ids = earlier.measures.map(({ id }) => id);
  const [again] = ids;
  const kept = keptMeasures(earlier, earlier, [again!]);
  expect(kept.map(({ id }) => id)).toEqual(ids.slice(1));
  expect(kept.every(({ sources }) => sources === earlier.versions.sources)).toBe(true);
});

test("nothing is kept of another form or machine, nor when all are measured", () => {
  const earlier = inventRun();
  const other = { ...earlier.machine, kernel: "2.6.18" };
  expect(keptMeasures(earlier, { form: "quick", machine: earlier.machine }, ["M4"])).toEqual([]);
  expect(keptMeasures(earlier, { form: earlier.form, machine: other }, ["M4"])).toEqual([]);
  expect(keptMeasures(earlier, earlier, undefined)).toEqual([]);
});
