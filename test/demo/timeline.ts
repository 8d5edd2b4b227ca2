/**
 * What the demo tells, as it happens: one line a moment, "+3.412s FW2 is MASTER", and the claims the story stands on.
 *
 * A claim is checked where it is told. At the end all of them are listed, and the demo fails if one does not hold. On a
 * terminal long lines are broken between words and indented; in a file or a pipe every line stays whole.
 */
interface Claim {
  readonly text: string;
  readonly holds: boolean;
}

const onTerminal = process.stdout.isTTY === true;
const COLUMNS = onTerminal ? process.stdout.columns : Number.POSITIVE_INFINITY;
const RULE_COLUMNS = Math.min(COLUMNS, 100);
/** Width of "+12.345s ", behind which everything stands. */
const MOMENT_COLUMNS = 9;

const coloured = onTerminal && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

const bold = paint(1);
const dim = paint(2);
const red = paint(31);
const green = paint(32);
const cyan = paint(36);

/** Breaks `text` where it would pass the terminal's edge; a word that is longer than a line stays whole. */
function broken(text: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > columns) {
    const space = rest.lastIndexOf(" ", columns);
    if (space <= 0) break;
    lines.push(rest.slice(0, space));
    rest = rest.slice(space + 1);
  }
  return [...lines, rest];
}

function printIndented(head: string, text: string, indentColumns: number, colour = (line: string) => line): void {
  broken(text, COLUMNS - indentColumns).forEach((line, i) => {
    console.log((i === 0 ? head : " ".repeat(indentColumns)) + colour(line));
  });
}

export class Timeline {
  readonly claims: Claim[] = [];
  readonly #beginMs = performance.now();
  #startMs = performance.now();

  /** Opens an act; its clock starts at zero. */
  act(title: string): void {
    this.#heading(title);
    this.#startMs = performance.now();
  }

  /** Text without a moment. */
  print(text: string): void {
    console.log(text);
  }

  say(text: string): void {
    printIndented(this.#moment(), text, MOMENT_COLUMNS);
  }

  /** Output of some command, below the line that announced it. */
  show(command: string, lines: readonly string[]): void {
    const indent = " ".repeat(MOMENT_COLUMNS + 2);
    printIndented(indent, command, indent.length, bold);
    for (const line of lines.length > 0 ? lines : ["(nothing)"]) printIndented(indent, line, indent.length, dim);
  }

  claim(text: string, holds: boolean): void {
    this.claims.push({ text, holds });
    printIndented(`${this.#moment()}${mark(holds)} `, verdict({ text, holds }), MOMENT_COLUMNS + 2);
  }

  /** The claims once more; true when all of them hold. */
  summary(): boolean {
    this.#heading("Summary");
    for (const claim of this.claims) printIndented(`  ${mark(claim.holds)} `, verdict(claim), 4);
    const holds = this.claims.every((claim) => claim.holds);
    const seconds = ((performance.now() - this.#beginMs) / 1000).toFixed(0);
    console.log(`\n  ${bold(holds ? "The story holds" : red("The story does not hold"))} (${seconds} s).\n`);
    return holds;
  }

  #heading(title: string): void {
    console.log(`\n${bold(cyan(`── ${title} ${"─".repeat(Math.max(0, RULE_COLUMNS - title.length - 4))}`))}\n`);
  }

  #moment(): string {
    const seconds = (performance.now() - this.#startMs) / 1000;
    return dim(`+${seconds.toFixed(3)}s `.padStart(MOMENT_COLUMNS));
  }
}

const mark = (holds: boolean): string => (holds ? green("✓") : red("✗"));
const verdict = ({ text, holds }: Claim): string => (holds ? text : `NOT SO: ${text}`);
