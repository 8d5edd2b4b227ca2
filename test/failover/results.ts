/** What a run of the suite found: every single observation. results.json holds it; tables and pictures follow from it. */
import * as v from "valibot";
import type { Result } from "../../src/result.ts";
import { MachineSchema, VersionsSchema } from "../figures/environment.ts";
import { parseDocument } from "../figures/parse-document.ts";
import { ObservationSchema } from "./observation.ts";
import type { Row } from "./plan.ts";

const CycleSchema = v.strictObject({
  elapsedMs: v.number(),
  observations: v.array(ObservationSchema),
  /** Why it did not come to its end: of the suite, not of a connection. */
  failure: v.optional(v.string()),
});

const RowSchema = v.strictObject({
  subject: v.string(),
  flows: v.number(),
  input: v.picklist(["drop", "answer"]),
  cycles: v.array(CycleSchema),
});

const ResultsSchema = v.strictObject({
  startedAt: v.string(),
  machine: MachineSchema,
  versions: VersionsSchema,
  rows: v.array(RowSchema),
});

export type Cycle = v.InferOutput<typeof CycleSchema>;
export type RowResults = v.InferOutput<typeof RowSchema>;
export type Results = v.InferOutput<typeof ResultsSchema>;

export const parseResults = (text: string): Result<Results> => parseDocument(text, ResultsSchema);

/** Where the cycles of a row go; it is made where there is none yet. */
export function rowResults(results: Results, { subject, flows, input }: Row): RowResults {
  const isIt = (row: RowResults): boolean => row.subject === subject.id && row.flows === flows && row.input === input;
  const found = results.rows.find(isIt);
  if (found !== undefined) return found;
  const row: RowResults = { subject: subject.id, flows, input, cycles: [] };
  results.rows.push(row);
  return row;
}
