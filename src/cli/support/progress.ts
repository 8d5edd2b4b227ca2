/** How far the daemon is, in one line that overwrites itself; shown to a person at a terminal and to nobody else. */
import type { ProgressLine } from "../../report.ts";
import { grouped } from "./terminal.ts";

const CLEAR_LINE = "\r\x1b[K";
let shown = false;

export function showProgress(line: ProgressLine): void {
  if (!process.stderr.isTTY) return;
  const total = line.total === undefined ? "" : ` of ${grouped(line.total)}`;
  process.stderr.write(`${CLEAR_LINE}${line.progress} ${grouped(line.done)}${total}`);
  shown = true;
}

export function clearProgress(): void {
  if (shown) process.stderr.write(CLEAR_LINE);
  shown = false;
}
