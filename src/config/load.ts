/** Reads the configuration file: either every setting is good, or every mistake is named at once. */
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { type Result, refuse, succeed } from "../result.ts";
import { explain, printable } from "./explain.ts";
import { type Config, ConfigSchema } from "./schema.ts";
import { parseToml } from "./toml.ts";
import { unknownKeys } from "./unknown-keys.ts";

export type { Config, LinkConfig } from "./schema.ts";

export function loadConfig(path: string): Result<Config, string[]> {
  const text = readText(path);
  return text.ok ? parseConfig(text.value, path) : refuse([text.error]);
}

/** As `loadConfig`, of text that is said to be of `file`. */
export function parseConfig(text: string, file: string): Result<Config, string[]> {
  const toml = parseToml(text);
  if (!toml.ok) {
    const { line, column, text: mistake } = toml.error;
    return refuse([`${file}: line ${line}, column ${column}: ${printable(mistake)}`]);
  }
  const document = toml.value;
  const mistakes = unknownKeys(document);
  const checked = v.safeParse(ConfigSchema, document);
  if (checked.success && mistakes.length === 0) return succeed(checked.output);
  for (const issue of checked.issues ?? []) {
    mistakes.push({ path: (issue.path ?? []).map((part) => part.key as PropertyKey), text: issue.message });
  }
  return refuse(mistakes.map((mistake) => explain(file, mistake.path, mistake.text, document)));
}

/** The file's text, or one sentence that says what to do. */
function readText(path: string): Result<string> {
  try {
    return succeed(readFileSync(path, "utf8"));
  } catch (error) {
    return refuse(`${path}: ${unreadable((error as NodeJS.ErrnoException).code ?? String(error))}`);
  }
}

function unreadable(code: string): string {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such file. Write one (README.md has an example), or name another with --config FILE";
    case "EACCES":
    case "EPERM":
      return "permission to read it is denied. Run ctsync as root, or make the file readable";
    case "EISDIR":
      return "this is a directory. Name the file in it with --config FILE";
    default:
      return `it cannot be read (${code})`;
  }
}
