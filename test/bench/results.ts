/**
 * What a run of the benchmark found: every single reading, and what it was taken on. This is what results.json holds,
 * from which the table and the pictures can be made anew.
 */
import * as v from "valibot";
import { type Result, succeed } from "../../src/result.ts";
import { MachineSchema, VersionsSchema } from "../figures/environment.ts";
import { parseDocument } from "../figures/parse-document.ts";
import type { Measure, Row } from "./measure.ts";

const Subject = v.picklist(["conntrackd", "ctsync", "limit"]);
const Finite = v.pipe(v.number(), v.finite());

const Goal = v.union([
  v.strictObject({ factor: Finite, of: v.picklist(["conntrackd", "limit"]) }),
  v.strictObject({ absolute: Finite }),
]);

const RowSchema = v.strictObject({
  id: v.string(),
  label: v.string(),
  unit: v.string(),
  better: v.picklist(["lower", "higher"]),
  goals: v.array(Goal),
});

/** One call of `take`: readings by row, or why there are none. `repeat` counts from 1. */
const TakeSchema = v.strictObject({
  subject: Subject,
  repeat: v.number(),
  elapsedMs: v.number(),
  readings: v.record(v.string(), Finite),
  failure: v.optional(v.string()),
  /** What the readings alone do not tell. */
  notes: v.optional(v.array(v.string())),
});

const MeasureResultsSchema = v.strictObject({
  id: v.string(),
  title: v.string(),
  method: v.string(),
  rows: v.array(RowSchema),
  takes: v.array(TakeSchema),
  /** The sources it was measured with, where it was measured again after the run (`--only`). */
  sources: v.optional(v.string()),
});

const ResultsSchema = v.strictObject({
  form: v.picklist(["quick", "full"]),
  startedAt: v.string(),
  machine: MachineSchema,
  versions: VersionsSchema,
  measures: v.array(MeasureResultsSchema),
});

export type Take = v.InferOutput<typeof TakeSchema>;
export type MeasureResults = v.InferOutput<typeof MeasureResultsSchema>;
export type Results = v.InferOutput<typeof ResultsSchema>;

/** Reads what `publish` wrote. What it sums up beside the readings is left out, since it follows from them. */
export function parseResults(text: string): Result<Results> {
  const parsed = parseDocument(text, v.object({ results: ResultsSchema }));
  return parsed.ok ? succeed(parsed.value.results) : parsed;
}

/** What a run of some measures keeps of an earlier one into the same folder: the others, if form and machine are the same. */
export function keptMeasures(
  earlier: Results,
  { form, machine }: Pick<Results, "form" | "machine">,
  only: readonly string[] | undefined,
): MeasureResults[] {
  const same = (["processor", "coreCount", "kernel"] as const).every((key) => earlier.machine[key] === machine[key]);
  if (only === undefined || earlier.form !== form || !same) return [];
  const { sources } = earlier.versions;
  return earlier.measures.filter(({ id }) => !only.includes(id)).map((measure) => ({ sources, ...measure }));
}

/** A measure before its first reading. */
export function emptyResults(measure: Measure, rows: readonly Row[]): MeasureResults {
  const copies = rows.map((row) => ({ ...row, goals: [...row.goals] }));
  return { id: measure.id, title: measure.title, method: measure.method, rows: copies, takes: [] };
}
