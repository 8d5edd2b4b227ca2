/** Which rows there are, which of them are asked for, and how long the rest will take. */
import { type Result, refuse, succeed } from "../../src/result.ts";
import type { InputInvalid } from "../lab/firewall.ts";
import { SUBJECTS, type Subject } from "./subjects.ts";

export interface Row {
  readonly subject: Subject;
  readonly flows: number;
  readonly input: InputInvalid;
}

/** Where INPUT drops what is INVALID, nobody is reset: that is the easier case, which runs when it is asked for. */
const INPUTS: readonly InputInvalid[] = ["answer", "drop"];
const INPUTS_STANDARD: readonly InputInvalid[] = ["answer"];
const FLOWS = [0, 10_000, 100_000, 500_000];
const FLOWS_QUICK = [0, 10_000];
export const RUNS = { full: 20, quick: 1 } as const;
/** conntrackd is there to be compared with: beside so many flows, fewer runs tell enough of it. */
const RUNS_COMPARED = [
  [500_000, 5],
  [100_000, 10],
  [0, 20],
] as const;
/** Time between two advertisements: the backup takes over after three of them and a little are missing. */
export const ADVERT_MS = 100;

export function runsOf({ subject, flows }: Row, form: keyof typeof RUNS): number {
  const [, compared] = RUNS_COMPARED.find(([from]) => flows >= from)!;
  return subject.program === "conntrackd" ? Math.min(compared, RUNS[form]) : RUNS[form];
}

export const nameOf = ({ subject, flows, input }: Row): string =>
  `${subject.id}, ${flows.toLocaleString("en-US")} flows, INPUT ${input === "answer" ? "answers" : "drops"}`;

/** All rows of a form, by table size and then side by side, so that an interrupted run has whole comparisons. */
export function allRows(form: keyof typeof RUNS): Row[] {
  const sizes = form === "quick" ? FLOWS_QUICK : FLOWS;
  return sizes.flatMap((flows) =>
    INPUTS_STANDARD.flatMap((input) => SUBJECTS.map((subject): Row => ({ subject, flows, input }))),
  );
}

/**
 * The rows that `words` leave: each word names a subject, a number of flows or an INPUT chain, and of each kind that is
 * named one must be the row's. An INPUT chain or a number that the form does not have is taken as well.
 */
export function chosenRows(rows: readonly Row[], words: readonly string[]): Result<Row[]> {
  const ids = SUBJECTS.map(({ id }) => id);
  const subjects = words.filter((word) => ids.includes(word));
  const inputs = words.filter((word) => INPUTS.some((input) => input === word));
  const sizes = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const unknown = words.filter((word) => ![...ids, ...INPUTS].includes(word) && !/^\d+$/.test(word));
  if (unknown.length > 0) {
    return refuse(
      `--only ${unknown.join(",")}: neither a subject (${ids.join(", ")}), nor answer or drop, nor a number`,
    );
  }
  const everySize = sizes.length === 0 ? [...new Set(rows.map(({ flows }) => flows))] : sizes;
  const ofAllSizes = everySize.flatMap((flows) =>
    INPUTS.flatMap((input) => SUBJECTS.map((subject): Row => ({ subject, flows, input }))),
  );
  const has = (named: readonly string[], word: string): boolean => named.length === 0 || named.includes(word);
  const wantedInputs = inputs.length === 0 ? INPUTS_STANDARD : inputs;
  return succeed(ofAllSizes.filter(({ subject, input }) => has(subjects, subject.id) && has(wantedInputs, input)));
}

/** From what cycles of a row took so far: of this row, else of this many flows, else of any. */
export class Remaining {
  readonly #taken: { row: Row; elapsedMs: number }[] = [];
  #left: Row[];

  /** `plan` has a row once for each of its cycles. */
  constructor(plan: readonly Row[]) {
    this.#left = [...plan];
  }

  done(row: Row, elapsedMs: number): void {
    this.#taken.push({ row, elapsedMs });
    this.#left = this.#left.toSpliced(this.#left.indexOf(row), 1);
  }

  /** Undefined before the first is done. */
  leftMs(): number | undefined {
    if (this.#taken.length === 0) return undefined;
    return this.#left.reduce((sum, row) => sum + this.#expectedMs(row), 0);
  }

  #expectedMs(row: Row): number {
    const likenesses = [
      this.#taken.filter((taken) => taken.row === row),
      this.#taken.filter((taken) => taken.row.flows === row.flows),
      this.#taken,
    ];
    const taken = likenesses.find(({ length }) => length > 0)!;
    return taken.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / taken.length;
  }
}
