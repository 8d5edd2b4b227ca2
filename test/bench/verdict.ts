/** From readings to what they say: medians of each subject, how ctsync stands to the others, goals met or missed. */

import { formatFactor, formatQuantity } from "../figures/quantity.ts";
import { pairedRatios, type Reading, type Summary, summarize } from "../figures/statistics.ts";
import type { Goal, Row, Subject } from "./measure.ts";
import type { MeasureResults } from "./results.ts";

export const SUBJECTS = ["conntrackd", "ctsync", "limit"] as const satisfies readonly Subject[];

export type Verdict = "met" | "missed" | "not measured";

export interface JudgedGoal {
  readonly goal: Goal;
  /** As "≤ 0.4 × conntrackd". */
  readonly text: string;
  readonly verdict: Verdict;
}

export interface RowSummary {
  readonly row: Row;
  readonly subjects: Readonly<Partial<Record<Subject, Summary>>>;
  /** ctsync to the other one, repeat by repeat. */
  readonly ratios: Readonly<Partial<Record<"conntrackd" | "limit", Summary>>>;
  readonly goals: readonly JudgedGoal[];
}

export function summarizeMeasure(measure: MeasureResults): RowSummary[] {
  return measure.rows.map((row) => summarizeRow(row, measure));
}

function summarizeRow(row: Row, measure: MeasureResults): RowSummary {
  const readings = (subject: Subject): Reading[] =>
    measure.takes.flatMap((take) => {
      const value = take.readings[row.id];
      return take.subject === subject && value !== undefined ? [{ repeat: take.repeat, value }] : [];
    });
  const subjects: Partial<Record<Subject, Summary>> = {};
  for (const subject of SUBJECTS) {
    const summary = summarize(readings(subject).map(({ value }) => value));
    if (summary !== undefined) subjects[subject] = summary;
  }
  const ratios: Partial<Record<"conntrackd" | "limit", Summary>> = {};
  for (const other of ["conntrackd", "limit"] as const) {
    const ratio = summarize(pairedRatios(readings("ctsync"), readings(other)));
    if (ratio !== undefined) ratios[other] = ratio;
  }
  const goals = row.goals.map((goal) => ({
    goal,
    text: goalText(goal, row),
    verdict: judge(goal, row, subjects, ratios),
  }));
  return { row, subjects, ratios, goals };
}

/** Where no ratio exists, because the other one read zero, the medians are compared by multiplication. */
function judge(goal: Goal, row: Row, subjects: RowSummary["subjects"], ratios: RowSummary["ratios"]): Verdict {
  const reaches = (value: number, bound: number): Verdict =>
    (row.better === "lower" ? value <= bound : value >= bound) ? "met" : "missed";
  const ours = subjects.ctsync;
  if (ours === undefined) return "not measured";
  if ("absolute" in goal) return reaches(ours.median, goal.absolute);
  const ratio = ratios[goal.of];
  if (ratio !== undefined) return reaches(ratio.median, goal.factor);
  const theirs = subjects[goal.of];
  return theirs === undefined ? "not measured" : reaches(ours.median, goal.factor * theirs.median);
}

function goalText(goal: Goal, row: Row): string {
  const sign = row.better === "lower" ? "≤" : "≥";
  if ("absolute" in goal) return `${sign} ${formatQuantity(goal.absolute, row.unit)}`;
  return `${sign} ${formatFactor(goal.factor)} ${goal.of}`;
}

export interface Tally {
  readonly metCount: number;
  readonly missedCount: number;
  readonly unmeasuredCount: number;
}

export function tally(rows: readonly Pick<RowSummary, "goals">[]): Tally {
  const verdicts = rows.flatMap(({ goals }) => goals.map(({ verdict }) => verdict));
  const count = (wanted: Verdict) => verdicts.filter((verdict) => verdict === wanted).length;
  return { metCount: count("met"), missedCount: count("missed"), unmeasuredCount: count("not measured") };
}

export function tallyText({ metCount, missedCount, unmeasuredCount }: Tally): string {
  const total = metCount + missedCount + unmeasuredCount;
  const rest = [
    ...(missedCount > 0 ? [`${missedCount} missed`] : []),
    ...(unmeasuredCount > 0 ? [`${unmeasuredCount} not measured`] : []),
  ];
  return [`${metCount} of ${total} goals met`, ...rest].join(", ");
}
