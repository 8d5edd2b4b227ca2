/** The arguments of `npm run failover`. */
import { parseArgs } from "node:util";
import { type Result, refuse, succeed } from "../../src/result.ts";
import { allRows, chosenRows, type Row, RUNS, runsOf } from "./plan.ts";
import { SUBJECTS } from "./subjects.ts";

const OUT_FOLDER = "dist/failover";
const RUNS_MAX = 1_000;

export const USAGE = `npm run failover [-- OPTIONS]: firewalls fail, stop and return under ctsync and conntrackd, and what becomes of connections

  --quick        two small tables, ${RUNS.quick} run each, in two minutes; else ${RUNS.full} runs of every row, in an hour or so
  --only WORDS   these rows alone, such as ctsync-live,100000: subjects (${SUBJECTS.map(({ id }) => id).join(", ")}),
                 numbers of other flows, and what INPUT does with INVALID (answer, drop; answer alone unless told)
  --runs N       how often each row runs, 1 to ${RUNS_MAX}; else ${RUNS.full} times, or fewer of conntrackd beside a large table
  --add          adds runs to those in DIR, instead of measuring these rows anew; other rows in DIR are kept either way
  --out DIR      where results.json, results.md and the pictures go; default ${OUT_FOLDER}
  --trace DIR    records every TCP packet at both hosts into DIR/ROW/a.pcap and b.pcap
  --from FILE    runs nothing: makes table and pictures anew from a results.json
  --help         this text
`;

export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "render"; readonly file: string; readonly outFolder: string | undefined }
  | {
      readonly kind: "run";
      /** How often each row runs. */
      readonly plan: readonly (readonly [Row, number])[];
      readonly adds: boolean;
      readonly outFolder: string;
      readonly traceFolder: string | undefined;
    };

const OPTIONS = {
  quick: { type: "boolean" },
  only: { type: "string" },
  runs: { type: "string" },
  add: { type: "boolean" },
  out: { type: "string" },
  trace: { type: "string" },
  from: { type: "string" },
  help: { type: "boolean" },
} as const;

export function parseCommandLine(argv: readonly string[]): Result<Command> {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
  try {
    ({ values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false }));
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  const { quick, only, runs, add, out, trace, from } = values;
  if (values.help) return succeed({ kind: "help" });
  if (from !== undefined) {
    if (!quick && !add && [only, runs, trace].every((value) => value === undefined)) {
      return succeed({ kind: "render", file: from, outFolder: out });
    }
    return refuse("--from runs nothing, so --quick, --only, --runs, --add and --trace have no meaning beside it");
  }
  const form = quick ? "quick" : "full";
  const rows = chosenRows(allRows(form), only?.split(",").map((word) => word.trim()) ?? []);
  if (!rows.ok) return rows;
  const count = runs === undefined ? RUNS[form] : /^\d+$/.test(runs) ? Number(runs) : 0;
  if (count < 1 || count > RUNS_MAX) return refuse(`--runs ${runs}: a whole number from 1 to ${RUNS_MAX} is needed`);
  const plan = rows.value.map((row) => [row, runs === undefined ? runsOf(row, form) : count] as const);
  const folders = { outFolder: out ?? OUT_FOLDER, traceFolder: trace };
  return succeed({ kind: "run", plan, adds: add ?? false, ...folders });
}
