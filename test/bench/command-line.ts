/** The arguments of `npm run bench`. */
import { parseArgs } from "node:util";
import { type Result, refuse, succeed } from "../../src/result.ts";
import type { Form } from "./measure.ts";

const OUT_FOLDER = "dist/bench";
const REPEATS_MAX = 100;

export const USAGE = `npm run bench [-- OPTIONS]: ctsync and conntrackd measured side by side, with the kernel's limit beside both

  --quick         fewer and smaller readings, once each: under two minutes
  --only IDS      these measures alone, such as M4,M7; others in DIR are kept
  --repeats N     how often each measure is taken from each program, 1 to ${REPEATS_MAX}
  --out DIR       where results.json, results.md and the pictures go; default ${OUT_FOLDER}
  --from FILE     measures nothing: makes table and pictures anew from a results.json
  --help          this text
`;

/** What was asked for. `only` is undefined for all measures, `outFolder` for the folder of `file`. */
export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "render"; readonly file: string; readonly outFolder: string | undefined }
  | {
      readonly kind: "measure";
      readonly form: Form;
      readonly only: readonly string[] | undefined;
      readonly repeatCount: number | undefined;
      readonly outFolder: string;
    };

const OPTIONS = {
  quick: { type: "boolean" },
  only: { type: "string" },
  repeats: { type: "string" },
  out: { type: "string" },
  from: { type: "string" },
  help: { type: "boolean" },
} as const;

/** `measureIds` are those there are. */
export function parseCommandLine(argv: readonly string[], measureIds: readonly string[]): Result<Command> {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
  try {
    ({ values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false }));
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return succeed({ kind: "help" });
  if (values.from !== undefined) {
    if (values.quick || values.only !== undefined || values.repeats !== undefined) {
      return refuse("--from measures nothing, so --quick, --only and --repeats have no meaning beside it");
    }
    return succeed({ kind: "render", file: values.from, outFolder: values.out });
  }
  const only = parseOnly(values.only, measureIds);
  if (!only.ok) return only;
  const repeats = parseRepeats(values.repeats);
  if (!repeats.ok) return repeats;
  return succeed({
    kind: "measure",
    form: values.quick ? "quick" : "full",
    only: only.value,
    repeatCount: repeats.value,
    outFolder: values.out ?? OUT_FOLDER,
  });
}

function parseOnly(text: string | undefined, measureIds: readonly string[]): Result<string[] | undefined> {
  if (text === undefined) return succeed(undefined);
  const ids = text.split(",").map((id) => id.trim().toUpperCase());
  const unknown = ids.filter((id) => !measureIds.includes(id));
  if (unknown.length === 0) return succeed(ids);
  return refuse(`--only ${text}: there is no measure ${unknown.join(", ")}; there are ${measureIds.join(", ")}`);
}

function parseRepeats(text: string | undefined): Result<number | undefined> {
  if (text === undefined) return succeed(undefined);
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= REPEATS_MAX) return succeed(count);
  return refuse(`--repeats ${text}: a whole number from 1 to ${REPEATS_MAX} is needed`);
}
