/**
 * The run itself: which reading comes when, and one reading taken.
 *
 * Every other repeat goes through the subjects backwards, so that none of them always has the machine as the same
 * predecessor left it. A reading that fails is kept as a failure and the run goes on.
 */
import type { Form, Measure, Row, Subject } from "./measure.ts";
import type { Take } from "./results.ts";

export interface PlannedTake {
  readonly measure: Measure;
  readonly subject: Subject;
  /** From 1. */
  readonly repeat: number;
  readonly repeatCount: number;
}

/** The whole run, in order. `repeatCount` overrides what the measures themselves ask for. */
export function planRun(measures: readonly Measure[], form: Form, repeatCount?: number): PlannedTake[] {
  return measures.flatMap((measure) => {
    const count = repeatCount ?? measure.repeats(form);
    return Array.from({ length: count }, (_, at) => at + 1).flatMap((repeat) => {
      const subjects = repeat % 2 === 1 ? measure.subjects : measure.subjects.toReversed();
      return subjects.map((subject) => ({ measure, subject, repeat, repeatCount: count }));
    });
  });
}

export async function takeReading({ measure, subject, repeat }: PlannedTake, form: Form): Promise<Take> {
  const startedMs = performance.now();
  const notes: string[] = [];
  const taken = () => ({
    ...{ subject, repeat, elapsedMs: performance.now() - startedMs },
    ...(notes.length > 0 ? { notes } : {}),
  });
  try {
    const readings = await measure.take(subject, form, (text) => void notes.push(text));
    const failure = complaint(readings, subject, measure.rows(form));
    return failure === undefined ? { ...taken(), readings } : { ...taken(), readings: {}, failure };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { ...taken(), readings: {}, failure };
  }
}

/** The others may lack a row, since not each has a counterpart of it; ctsync must have them all. */
function complaint(readings: Readonly<Record<string, number>>, subject: Subject, rows: readonly Row[]) {
  const ids = rows.map(({ id }) => id);
  const unknown = Object.keys(readings).filter((id) => !ids.includes(id));
  if (unknown.length > 0) return `no such row: ${unknown.join(", ")}`;
  const senseless = Object.keys(readings).filter((id) => !Number.isFinite(readings[id]));
  if (senseless.length > 0) return `no number was read for ${senseless.join(", ")}`;
  const missing = ids.filter((id) => readings[id] === undefined);
  if (missing.length > 0 && (subject === "ctsync" || missing.length === ids.length)) {
    return `nothing was read for ${missing.join(", ")}`;
  }
  return undefined;
}
