/**
 * The text of `--help`. A command's description is its summary in the first line, and after an empty line whatever else
 * its user should know.
 */
import type { ArgsDef, CommandDef, SubCommandsDef } from "citty";

/** A command as the tree of commands holds it, whatever its arguments. */
export type Command = Extract<SubCommandsDef[string], CommandDef>;

export async function helpText(command: Command): Promise<string> {
  const name = nameOf(command);
  const [summary, details] = descriptionOf(command);
  const subCommands = await loadSubCommands(command);
  const args = Object.entries((command.args ?? {}) as ArgsDef);
  const words = args.filter(([, definition]) => definition.type === "positional");
  const options = args.filter(([, definition]) => definition.type !== "positional");

  const usage = [name];
  if (subCommands.length > 0) usage.push("COMMAND");
  usage.push("[OPTIONS]", ...words.map(([word, definition]) => definition.valueHint ?? word.toUpperCase()));
  const optionRows = options.map(([option, definition]): Row => {
    const standard = definition.default === undefined ? "" : ` (default: ${definition.default})`;
    return [
      `--${option}${definition.valueHint ? ` ${definition.valueHint}` : ""}`,
      `${definition.description}${standard}`,
    ];
  });
  optionRows.push(["-h, --help", "Show this text"]);
  if (name === "ctsync") optionRows.push(["--version", "Show the version"]);

  const parts = [`${name}: ${summary}`, `Usage: ${usage.join(" ")}`];
  if (details !== "") parts.push(details);
  if (words.length > 0)
    parts.push(
      section(
        "Words",
        words.map(([word, d]): Row => [d.valueHint ?? word, d.description ?? ""]),
      ),
    );
  if (subCommands.length > 0) parts.push(section("Commands", subCommands.map(commandRow)));
  parts.push(section("Options", optionRows), "Exit status: 0 done, 1 failed, 2 wrong use.");
  return parts.join("\n\n");
}

/** `ctsync`, `ctsync dump`, `ctsync config check`. */
export function nameOf(command: Command): string {
  const { name = "" } = command.meta as { readonly name?: string };
  return name === "ctsync" ? name : `ctsync ${name}`;
}

function descriptionOf(command: Command): [summary: string, details: string] {
  const { description = "" } = command.meta as { readonly description?: string };
  const end = description.indexOf("\n\n");
  return end < 0 ? [description, ""] : [description.slice(0, end), description.slice(end + 2)];
}

async function loadSubCommands(command: Command): Promise<[string, Command][]> {
  const entries = Object.entries((command.subCommands ?? {}) as SubCommandsDef);
  return Promise.all(entries.map(async ([name, load]): Promise<[string, Command]> => [name, await resolve(load)]));
}

/** A sub-command is there already, or is imported now. */
export async function resolve(command: SubCommandsDef[string]): Promise<Command> {
  return typeof command === "function" ? command() : command;
}

type Row = [left: string, right: string];

const commandRow = ([name, command]: [string, Command]): Row => [name, descriptionOf(command)[0]];

function section(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return [`${title}:`, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)].join("\n");
}
