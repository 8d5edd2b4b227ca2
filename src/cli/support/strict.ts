/**
 * Refuses what citty takes in silence: unknown options, options without their value, values for switches, surplus words.
 * A takeover script with a typo must hear of it.
 */
import type { ArgsDef, CommandContext } from "citty";
import { nearest } from "../../config/nearest.ts";
import { wrongUse } from "./terminal.ts";

/** Whether the arguments are ones that `args` declares; otherwise says why not and sets the exit code. */
export function strict<T extends ArgsDef>(
  context: CommandContext<T>,
  args: T,
  words: "declared-words" | "any-words" = "declared-words",
): boolean {
  const meta = context.cmd.meta as { readonly name: string };
  const error = firstError(context.rawArgs, args, words === "any-words");
  if (error !== undefined) wrongUse(meta.name, error);
  return error === undefined;
}

function firstError(rawArgs: readonly string[], args: ArgsDef, anyWords: boolean): string | undefined {
  const options = Object.entries(args).filter(([, definition]) => definition.type !== "positional");
  const wordsMax = anyWords ? Infinity : Object.keys(args).length - options.length;
  const known = new Map(options);
  let words = 0;
  for (let i = 0; i < rawArgs.length; i++) {
    const argument = rawArgs[i];
    if (argument === "--") {
      words += rawArgs.length - i - 1;
      return words > wordsMax ? surplus(rawArgs[rawArgs.length - 1], known.keys()) : undefined;
    }
    if (!argument.startsWith("-") || argument === "-") {
      if (++words > wordsMax) return surplus(argument, known.keys());
      continue;
    }
    const equals = argument.indexOf("=");
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const definition = flag.startsWith("--") ? known.get(flag.slice(2)) : undefined;
    if (definition === undefined) return unknownOption(flag, known.keys());
    if (definition.type === "boolean") {
      if (equals >= 0) return `${flag} takes no value`;
      continue;
    }
    const value = equals >= 0 ? argument.slice(equals + 1) : (rawArgs[++i] ?? "");
    if (value === "" || (equals < 0 && value.startsWith("-"))) return `${flag} needs its ${definition.valueHint}`;
  }
  return undefined;
}

function unknownOption(flag: string, known: Iterable<string>): string {
  const near = nearest(flag.replace(/^-+/, ""), [...known, "help"]);
  return `unknown option ${flag}${near === undefined ? "" : `, did you mean --${near}?`}`;
}

function surplus(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return `unexpected "${word}"${near === undefined ? "" : `, did you mean --${near}?`}`;
}
