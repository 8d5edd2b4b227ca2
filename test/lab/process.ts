/**
 * A process the lab started and still watches: its output by line, as it comes, with the moment each line came.
 *
 * stdout and stderr are one list, in the order of arrival: what matters here is what happened before what.
 */
export interface OutputLine {
  readonly atMs: number; // performance.now()
  readonly text: string;
}

interface Waiter {
  readonly matches: (text: string) => boolean;
  readonly resolve: (text: string) => void;
}

const STOP_DEADLINE_MS = 5_000;
const LINES_IN_ERRORS = 20;

export class LabProcess {
  readonly argv: readonly string[];
  readonly lines: OutputLine[] = [];
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #outputEnded: Promise<unknown>;
  #waiters: Waiter[] = [];

  constructor(argv: readonly string[], environment: Record<string, string | undefined> = process.env) {
    this.argv = argv;
    this.#child = Bun.spawn([...argv], { stdin: "pipe", stdout: "pipe", stderr: "pipe", env: environment });
    this.#outputEnded = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Exit status, 128 + signal when killed. Settles after the last line was read. */
  get exited(): Promise<number> {
    return this.#outputEnded.then(() => this.#child.exited);
  }

  /** Whole output so far. */
  get output(): string {
    return this.lines.map((line) => line.text).join("\n");
  }

  /** First line matching `pattern`, from line number `since` on: one already there, or one still to come. */
  waitForLine(pattern: RegExp, deadlineMs: number, since = 0): Promise<string> {
    return this.waitFor((text) => pattern.test(text), `a line like ${pattern}`, deadlineMs, since);
  }

  /** The same for any condition on a line; `what` names it in the error. */
  async waitFor(matches: (text: string) => boolean, what: string, deadlineMs: number, since = 0): Promise<string> {
    const found = this.lines.slice(since).find((line) => matches(line.text));
    if (found !== undefined) return found.text;
    const line = Promise.withResolvers<string>();
    const waiter = { matches, resolve: line.resolve };
    this.#waiters.push(waiter);
    const explain = (reason: string) => () => line.reject(new Error(`${reason}\n${this.#describe()}`));
    const timer = setTimeout(explain(`${what} did not come within ${deadlineMs} ms`), deadlineMs);
    this.exited.then(explain(`ended without ${what}`));
    try {
      return await line.promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }

  /** Writes to its standard input. What is written to a process that has just ended is lost, as on a terminal. */
  write(text: string): void {
    try {
      this.#child.stdin.write(text);
      Promise.resolve(this.#child.stdin.flush()).catch(allowBrokenPipe);
    } catch (error) {
      allowBrokenPipe(error);
    }
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#child.kill(signal);
  }

  /** Asks it to end; kills it when it does not. Returns its exit status. */
  async stop(): Promise<number> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), STOP_DEADLINE_MS);
    try {
      return await this.#child.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const text of parts) this.#take(text);
    }
    if (rest !== "") this.#take(rest);
  }

  #take(raw: string): void {
    const text = raw.replace(/\r$/, "");
    this.lines.push({ atMs: performance.now(), text });
    for (const waiter of this.#waiters) if (waiter.matches(text)) waiter.resolve(text);
  }

  #describe(): string {
    const last = this.lines.slice(-LINES_IN_ERRORS).map((line) => `  | ${line.text}`);
    return [`  ${this.argv.join(" ")} (pid ${this.pid}), last lines:`, ...last].join("\n");
  }
}

function allowBrokenPipe(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
}
