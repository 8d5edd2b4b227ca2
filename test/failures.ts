/** What bun's output says of tests that failed, to be repeated where it is not missed: of a long log one may see the end alone. */

const LINES_MAX = 40;
const COLUMNS_MAX = 240;

const isOutcome = (line: string): boolean => /^\((pass|skip|todo)\) /.test(line);
const isFailure = (line: string): boolean => line.startsWith("(fail) ");
/** Bun tells of a test that took too long after it named it. */
const isAddendum = (line: string): boolean => line.startsWith("  ^ ");
const isStray = (line: string): boolean => line.startsWith("# Unhandled error between tests");
const isRule = (line: string): boolean => /^-{20,}$/.test(line);
/** From here on bun repeats names. */
const isSummary = (line: string): boolean => /^\d+ tests? failed:$/.test(line);
const fileOf = (line: string): string | undefined => /^(\S+\.test\.ts):$/.exec(line)?.[1];

/** The last of these lines, none of them longer than is read. */
export const ending = (lines: readonly string[]): string[] =>
  lines.slice(-LINES_MAX).map((line) => (line.length > COLUMNS_MAX ? `${line.slice(0, COLUMNS_MAX)}…` : line));

/** For each test that failed, in order: its file, what was printed since the outcome before it, and bun's words on it. */
export function failuresIn(output: string): string[] {
  const failures: string[] = [];
  let file = "";
  let said: string[] = [];
  let rulesToCome = 0;
  const fail = (): void => {
    failures.push([`${file}:`, ...ending(said)].join("\n"));
    said = [];
  };
  for (const line of Bun.stripANSI(output).split("\n")) {
    if (isSummary(line)) break;
    const nextFile = fileOf(line);
    if (isAddendum(line) && failures.length > 0) failures.push(`${failures.pop()}\n${line}`);
    else if (nextFile !== undefined || isOutcome(line)) said = [];
    else said.push(line);
    if (nextFile !== undefined) file = nextFile;
    if (isStray(line)) rulesToCome = 2;
    const endsStray = isRule(line) && rulesToCome > 0 && --rulesToCome === 0;
    if (isFailure(line) || endsStray) fail();
  }
  return failures;
}
