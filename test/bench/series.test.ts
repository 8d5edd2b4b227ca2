import { describe, expect, test } from "bun:test";
import { inventResults } from "./invented-results.ts";
import type { Measure, Readings, Subject } from "./measure.ts";
import { readingLine } from "./progress.ts";
import { Remaining } from "./remaining.ts";
import { emptyResults } from "./results.ts";
import { type PlannedTake, planRun, takeReading } from "./series.ts";

const ROWS = ["a", "b"].map((id) => ({ id, label: `row ${id}`, unit: "µs", better: "lower", goals: [] }) as const);

const measureOf = (id: string, subjects: readonly Subject[], take: Measure["take"] = async () => ({})): Measure => ({
  ...{ id, title: id, method: "", subjects, take },
  rows: () => ROWS,
  repeats: (form) => (form === "quick" ? 1 : 3),
});

const both = measureOf("M1", ["conntrackd", "ctsync", "limit"]);
const alone = measureOf("M2", ["ctsync"]);

describe("the plan", () => {
  const told = (plan: readonly PlannedTake[]) =>
    plan.map(({ measure, repeat, subject }) => `${measure.id} ${repeat} ${subject}`);

  test("goes through the subjects backwards every other repeat", () => {
    expect(told(planRun([both, alone], "full", 2))).toEqual([
      ...["M1 1 conntrackd", "M1 1 ctsync", "M1 1 limit"],
      ...["M1 2 limit", "M1 2 ctsync", "M1 2 conntrackd"],
      ...["M2 1 ctsync", "M2 2 ctsync"],
    ]);
  });

  test("repeats as often as the measure asks for in this form", () => {
    expect(planRun([both], "full")).toHaveLength(9);
    expect(planRun([both], "quick")).toHaveLength(3);
  });
});

describe("a reading", () => {
  const taken = async (readings: Readings | Error, subject: Subject = "ctsync") => {
    const measure = measureOf("M1", [subject], async () => {
      if (readings instanceof Error) throw readings;
      return readings;
    });
    return takeReading(planRun([measure], "quick")[0]!, "quick");
  };

  test("is kept with its subject and repeat", async () => {
    expect(await taken({ a: 1, b: 0 })).toMatchObject({ subject: "ctsync", repeat: 1, readings: { a: 1, b: 0 } });
  });

  test("keeps what was noted at it, also when it fails", async () => {
    const measure = measureOf("M1", ["ctsync"], async (_, form, note) => {
      note(`in the ${form} form`);
      throw new Error("no peer");
    });
    const take = await takeReading(planRun([measure], "quick")[0]!, "quick");
    expect(take).toMatchObject({ notes: ["in the quick form"], failure: "no peer" });
  });

  test("that throws is a failure, not an end", async () => {
    expect(await taken(new Error("no peer"))).toMatchObject({ readings: {}, failure: "no peer" });
  });

  test("of a row that does not exist, or that is no number, is a failure", async () => {
    expect(await taken({ a: 1, b: 1, c: 1 })).toMatchObject({ readings: {}, failure: "no such row: c" });
    expect(await taken({ a: 1, b: Number.NaN })).toMatchObject({ failure: "no number was read for b" });
  });

  test("may lack a row, but not of ctsync, and not all of them", async () => {
    expect(await taken({ a: 1 }, "limit")).not.toHaveProperty("failure");
    expect(await taken({ a: 1 })).toMatchObject({ failure: "nothing was read for b" });
    expect(await taken({}, "limit")).toMatchObject({ failure: "nothing was read for a, b" });
  });

  test("is told in one line", async () => {
    const planned = planRun([both], "full")[0]!;
    const take = { subject: "conntrackd", repeat: 1, elapsedMs: 1, readings: { a: 1_234, b: 0.5 } } as const;
    expect(readingLine(planned, take, ROWS)).toBe("M1 1/3 conntrackd: row a 1,230 µs, row b 0.5 µs");
    const noted = { ...take, notes: ["it slept", "and snored"] };
    expect(readingLine(planned, noted, ROWS)).toEndWith("row b 0.5 µs; it slept; and snored");
    const failed = { ...take, readings: {}, failure: "no peer" };
    expect(readingLine(planned, failed, ROWS)).toBe("M1 1/3 conntrackd: FAILED: no peer");
  });
});

describe("the time that is left", () => {
  test("is unknown at first, then that of the closest likeness", () => {
    const remaining = new Remaining(planRun([both, alone], "full", 2), undefined);
    expect(remaining.leftMs(0)).toBeUndefined();
    remaining.done(100);
    expect(remaining.leftMs(0)).toBe(700);
    expect(remaining.leftMs(40)).toBe(660);
    expect(remaining.leftMs(4_000)).toBe(600); // the reading under way takes longer than it should
    remaining.done(300); // ctsync: once more of this, once of conntrackd, twice of limit and twice of M2 by the mean
    expect(remaining.leftMs(0)).toBe(300 + 100 + 2 * 200 + 2 * 200);
  });

  test("is known at once from an earlier run", () => {
    const earlier = { ...emptyResults(alone, ROWS) };
    earlier.takes.push({ subject: "ctsync", repeat: 1, elapsedMs: 600, readings: {} });
    expect(new Remaining(planRun([alone], "full"), inventResults([earlier])).leftMs(0)).toBe(3 * 600);
  });
});
