/**
 * What the daemon says on standard error: one line each, for people and the journal. Repeated states are said once; the
 * counters of `ctsync status` say how often.
 *
 * Nobody may read it, and the disk that it goes to may be full: then lines are left out and counted, and the next one that
 * gets through is preceded by their number. Replication neither waits for the reader nor keeps lines for him.
 */
import { writeSync } from "node:fs";
import { isWritable } from "../../ffi/poll.ts";

export const LEVELS = ["error", "warning", "info", "debug"] as const;
export type Level = (typeof LEVELS)[number];

const STANDARD_ERROR = 2;
/** syslog's numbers, which the journal reads from the line's beginning (sd-daemon(3)). */
const PRIORITIES: Readonly<Record<Level, number>> = { error: 3, warning: 4, info: 6, debug: 7 };

export class Log {
  readonly #most: number;
  readonly #journal = process.env.JOURNAL_STREAM !== undefined;
  /** Lines in a row that could not be written. */
  #lost = 0;

  constructor(level: Level) {
    this.#most = LEVELS.indexOf(level);
  }

  error(text: string): void {
    this.#say("error", text);
  }

  warning(text: string): void {
    this.#say("warning", text);
  }

  info(text: string): void {
    this.#say("info", text);
  }

  debug(text: string): void {
    this.#say("debug", text);
  }

  #say(level: Level, text: string): void {
    if (LEVELS.indexOf(level) > this.#most) return;
    if (this.#lost > 0 && this.#write("warning", `${this.#lost} lines before this one could not be written`))
      this.#lost = 0;
    if (!this.#write(level, text)) this.#lost++;
  }

  #write(level: Level, text: string): boolean {
    const head = this.#journal ? `<${PRIORITIES[level]}>` : `${new Date().toISOString()} ${level}: `;
    if (!isWritable(STANDARD_ERROR)) return false;
    try {
      writeSync(STANDARD_ERROR, `${head}${text}\n`);
      return true;
    } catch {
      return false; // A full disk, or a pipe without a reader.
    }
  }
}
