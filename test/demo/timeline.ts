/**
 * What the demo tells, as it happens: one line a moment, "+3.412s FW2 is MASTER", and the claims the story stands on.
 *
 * A claim is checked where it is told. At the end all of them are listed, and the demo fails if one does not hold.
 */
interface Claim {
  readonly text: string;
  readonly holds: boolean;
}

const WIDTH = 110;
const coloured = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

const bold = paint(1);
const dim = paint(2);
const red = paint(31);
const green = paint(32);
const cyan = paint(36);

export class Timeline {
  readonly claims: Claim[] = [];
  #startMs = performance.now();

  /** Opens an act; its clock starts at zero. */
  act(title: string): void {
    console.log(`\n${bold(cyan(`── ${title} ${"─".repeat(Math.max(0, WIDTH - title.length - 4))}`))}\n`);
    this.#startMs = performance.now();
  }

  /** Text without a moment. */
  print(text: string): void {
    console.log(text);
  }

  say(text: string): void {
    console.log(`${dim(this.#moment())} ${text}`);
  }

  /** Output of some command, below the line that announced it. */
  show(command: string, lines: readonly string[]): void {
    console.log(`${" ".repeat(10)} ${bold(`$ ${command}`)}`);
    for (const line of lines.length > 0 ? lines : ["(nothing)"]) console.log(`${" ".repeat(10)} ${dim(line)}`);
  }

  claim(text: string, holds: boolean): void {
    this.claims.push({ text, holds });
    console.log(`${dim(this.#moment())} ${verdict(holds)} ${text}`);
  }

  /** The claims once more; true when all of them hold. */
  summary(): boolean {
    console.log(`\n${bold(cyan(`── Summary ${"─".repeat(WIDTH - 11)}`))}\n`);
    for (const { text, holds } of this.claims) console.log(`  ${verdict(holds)} ${text}`);
    return this.claims.every(({ holds }) => holds);
  }

  #moment(): string {
    const seconds = (performance.now() - this.#startMs) / 1000;
    return `+${seconds.toFixed(3)}s`.padStart(10);
  }
}

const verdict = (holds: boolean): string => (holds ? green("✓") : red("✗ NOT SO:"));
