/**
 * TOML text to values, by Bun's parser, which says what is wrong but not where. So the place is searched: the shortest
 * run of whole lines that fails with the same message ends in the broken line, and the shortest start of that line
 * that fails so ends where the parser gave up.
 */
import { type Result, refuse, succeed } from "../result.ts";

export interface TomlError {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

export function parseToml(text: string): Result<object, TomlError> {
  const error = parseError(text);
  if (error === undefined) return succeed(Bun.TOML.parse(text));
  const lines = text.split("\n");
  const line = firstFailing(lines.length, (count) => parseError(`${lines.slice(0, count).join("\n")}\n`) === error);
  const before = lines.slice(0, line - 1).join("\n");
  const broken = lines[line - 1] ?? "";
  let column = 1;
  while (column < broken.length && parseError(`${before}\n${broken.slice(0, column)}`) !== error) column++;
  return refuse({ line, column: tokenStart(broken, column), text: error.replace(/\(0x0A\)/, "the end of the line") });
}

function parseError(text: string): string | undefined {
  try {
    Bun.TOML.parse(text);
    return undefined;
  } catch (error) {
    return String(error instanceof Error ? error.message : error).replace(/^TOML Parse error: /, "");
  }
}

/** The smallest count from 1 to `max` for which `fails` holds, which it does at `max` and above any for which it does. */
function firstFailing(max: number, fails: (count: number) => boolean): number {
  let low = 1;
  let high = max;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (fails(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Where the word begins whose last character stands in `column`. */
function tokenStart(line: string, column: number): number {
  const word = /[\w."'-]+$/.exec(line.slice(0, column));
  return word === null ? column : word.index + 1;
}
