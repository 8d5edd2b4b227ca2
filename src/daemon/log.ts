/**
 * What the daemon says on standard error: one line each, for people and the journal. Repeated states are said once; the
 * counters of `ctsync status` say how often.
 */
export const LEVELS = ["error", "warning", "info", "debug"] as const;
export type Level = (typeof LEVELS)[number];

/** syslog's numbers, which the journal reads from the line's beginning (sd-daemon(3)). */
const PRIORITIES: Readonly<Record<Level, number>> = { error: 3, warning: 4, info: 6, debug: 7 };

export class Log {
  readonly #most: number;
  readonly #journal = process.env.JOURNAL_STREAM !== undefined;

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
    const head = this.#journal ? `<${PRIORITIES[level]}>` : `${new Date().toISOString()} ${level}: `;
    process.stderr.write(`${head}${text}\n`);
  }
}
