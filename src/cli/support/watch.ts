/** Shows a screen again each second until ^C: in place on a terminal, one below the other elsewhere. */
const PERIOD_MS = 1_000;
const HOME = "\x1b[H";
const CLEAR_TO_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const CLEAR_ALL = "\x1b[2J";

/** `screen` makes the text anew each time. Ends at SIGINT or SIGTERM, or when nobody reads any more. */
export async function watch(screen: () => Promise<string>): Promise<void> {
  const output = process.stdout;
  const ended = Promise.withResolvers<void>();
  let over = false;
  const end = (): void => {
    over = true;
    ended.resolve();
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  output.on("error", end);
  if (output.isTTY) output.write(HIDE_CURSOR + CLEAR_ALL);
  while (!over) {
    const text = await screen();
    if (over) break;
    if (output.isTTY) output.write(inPlace(text, output.rows));
    else output.write(`${text}\n\n`);
    await Promise.race([Bun.sleep(PERIOD_MS), ended.promise]);
  }
  if (output.isTTY) output.write(SHOW_CURSOR);
  process.exit();
}

/** Over what is shown, without a flicker; what the terminal has no rows for is left out. */
export function inPlace(text: string, rows: number): string {
  const lines = text.split("\n").slice(0, Math.max(rows - 1, 1));
  return `${HOME}${lines.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join("")}${CLEAR_BELOW}`;
}
