/** What a run says as it goes: a line for each reading, and on a terminal a last line that lives. */

import { formatDuration, formatQuantity } from "../figures/quantity.ts";
import type { Row } from "./measure.ts";
import type { Remaining } from "./remaining.ts";
import type { Take } from "./results.ts";
import type { PlannedTake } from "./series.ts";

const REFRESH_INTERVAL_MS = 1_000; // a redraw costs some microseconds of the machine that is being measured
const COLUMNS_UNKNOWN = 80; // of a terminal that says it has none
const ERASE_LINE = "\r\x1b[K";

/** "M4 2/3 ctsync: sender at 5,000/s 24.1 µs, receiver at 5,000/s 11 µs" */
export function readingLine(planned: PlannedTake, take: Take, rows: readonly Row[]): string {
  const values = rows.flatMap(({ id, label, unit }) => {
    const value = take.readings[id];
    return value === undefined ? [] : [`${label} ${formatQuantity(value, unit)}`];
  });
  const found = take.failure === undefined ? values.join(", ") : `FAILED: ${take.failure}`;
  return [`${name(planned)}: ${found}`, ...(take.notes ?? [])].join("; ");
}

const name = ({ measure, subject, repeat, repeatCount }: PlannedTake): string =>
  `${measure.id} ${repeat}/${repeatCount} ${subject}`;

export class Progress {
  readonly #remaining: Remaining;
  readonly #startedMs = performance.now();
  readonly #onTerminal = process.stdout.isTTY === true;

  constructor(remaining: Remaining) {
    this.#remaining = remaining;
  }

  say(text: string): void {
    console.log(text);
  }

  /** Shows that `planned` is under way until `work` is done. */
  async during<T>(planned: PlannedTake, work: () => Promise<T>): Promise<T> {
    if (!this.#onTerminal) return work();
    const startedMs = performance.now();
    const show = (): void => {
      const underWayMs = performance.now() - startedMs;
      const line = `${name(planned)} … ${formatDuration(underWayMs)}  [${this.#times(underWayMs)}]`;
      process.stdout.write(`${ERASE_LINE}${line.slice(0, (process.stdout.columns || COLUMNS_UNKNOWN) - 1)}`);
    };
    show();
    const timer = setInterval(show, REFRESH_INTERVAL_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      process.stdout.write(ERASE_LINE);
    }
  }

  done(planned: PlannedTake, take: Take, rows: readonly Row[]): void {
    this.#remaining.done(take.elapsedMs);
    console.log(`[${this.#times(0)}] ${readingLine(planned, take, rows)}`);
  }

  #times(underWayMs: number): string {
    const gone = `${formatDuration(performance.now() - this.#startedMs)} gone`;
    const leftMs = this.#remaining.leftMs(underWayMs);
    return leftMs === undefined ? gone : `${gone}, about ${formatDuration(leftMs)} left`;
  }
}
