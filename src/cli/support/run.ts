/**
 * Finds the command that the words name, answers `--help` and `--version`, and runs it.
 *
 * citty parses the options; finding the command is done here, because citty loads every command to find one, answers
 * wrong use with exit code 1, and shows stack traces.
 */
import { runCommand, type SubCommandsDef } from "citty";
import { nearest } from "../../config/nearest.ts";
import { type Command, helpText, nameOf, resolve } from "./help.ts";
import { fail, wrongUse } from "./terminal.ts";

const isHelp = (argument: string): boolean => argument === "--help" || argument === "-h";

/** citty keeps the words under the name `_`, and fails over an option that says to be it; we have none of one dash. */
const RESERVED = /^(-[^-].*|-|--(no-)?)_/;

/** What stands behind `ctsync` to name the command. */
const commandWords = (command: Command): string => nameOf(command).replace(/^ctsync ?/, "");

export async function runCommandLine(root: Command, argv: readonly string[]): Promise<void> {
  let command = root;
  let rest = argv[0] === "help" ? [...argv.slice(1), "--help"] : [...argv];
  if (rest[0] === "--version" && rest.length === 1) {
    const { VERSION } = await import("../../version.ts");
    console.log(`ctsync ${VERSION}`);
    return;
  }
  while (command.subCommands !== undefined) {
    const subCommands = command.subCommands as SubCommandsDef;
    const [word] = rest;
    if (word === undefined) {
      console.error(await helpText(command));
      process.exitCode = 2;
      return;
    }
    if (isHelp(word)) break;
    if (!Object.hasOwn(subCommands, word)) return notACommand(command, word, Object.keys(subCommands));
    command = await resolve(subCommands[word]);
    rest = rest.slice(1);
  }
  const end = rest.indexOf("--");
  const options = end < 0 ? rest : rest.slice(0, end);
  if (options.some(isHelp)) {
    console.log(await helpText(command));
    return;
  }
  const reserved = options.find((argument) => RESERVED.test(argument));
  if (reserved !== undefined) return wrongUse(commandWords(command), `unknown option ${reserved}`);
  try {
    await runCommand(command, { rawArgs: rest });
  } catch (error) {
    fail(`${nameOf(command)}: internal error: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function notACommand(parent: Command, word: string, known: readonly string[]): void {
  const name = commandWords(parent);
  if (word.startsWith("-")) {
    const near = nearest(word.replace(/^-+/, ""), ["help", "version"]);
    const advice = near === undefined ? "options follow the command" : `did you mean --${near}?`;
    wrongUse(name, `unknown option ${word}, ${advice}`);
    return;
  }
  const near = nearest(word, [...known, "help"]);
  wrongUse(name, `unknown command "${word}"${near === undefined ? "" : `, did you mean "${near}"?`}`);
}
