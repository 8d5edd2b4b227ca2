/**
 * What the benchmark measures, as data: a measure has rows, a row a goal, and `take` brings one reading of every row.
 *
 * The runner calls `take` for each subject in turn, again and again, so that whatever disturbs the machine disturbs all
 * of them alike; medians and ratios are made from the readings, never inside a measure.
 */

/** What is measured: the two programs side by side, and the kernel's limit, a bare receiver or sender of the same flows. */
export type Subject = "conntrackd" | "ctsync" | "limit";

/** How much of the whole benchmark is done: the quick form takes fewer and smaller readings. */
export type Form = "quick" | "full";

/** What ctsync must reach: a factor of the other subject's reading (the median of the repeats' ratios), at most or at least by `better`. */
export type Goal =
  | { readonly factor: number; readonly of: "conntrackd" | "limit" }
  /** In the row's unit. */
  | { readonly absolute: number };

export interface Row {
  /** Unique in its measure, such as "sender-5000". */
  readonly id: string;
  /** As people read it, such as "sender at 5,000/s". */
  readonly label: string;
  /** Unit of the readings, such as "µs"; "" for a bare count. */
  readonly unit: string;
  readonly better: "lower" | "higher";
  readonly goals: readonly Goal[];
}

/** One reading of each row that this subject has: values by row id. */
export type Readings = Readonly<Record<string, number>>;

export interface Measure {
  /** As in the table of goals: "M4". */
  readonly id: string;
  readonly title: string;
  /** How it is measured, in one or two sentences for whoever reads the table. */
  readonly method: string;
  rows(form: Form): readonly Row[];
  readonly subjects: readonly Subject[];
  /** How often each subject is measured. */
  repeats(form: Form): number;
  /**
   * Builds what it needs, measures once, and cleans up; throws when no reading could be had. `note` takes what a reader of the
   * readings should know besides.
   */
  take(subject: Subject, form: Form, note: (text: string) => void): Promise<Readings>;
}
