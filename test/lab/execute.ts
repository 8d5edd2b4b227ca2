/** Running one command to its end: `execute` answers what happened, `succeed` insists that it went well. */

export interface Outcome {
  readonly status: number; // exit status, 128 + signal when killed
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecuteOptions {
  readonly stdin?: string;
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 30_000;

/** Runs `argv` without a shell. Past the deadline it is killed, and the status says so. */
export async function execute(argv: readonly string[], options: ExecuteOptions = {}): Promise<Outcome> {
  const child = Bun.spawn([...argv], {
    stdin: new Blob([options.stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.deadlineMs ?? DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** Runs `argv`, returns its stdout, throws with everything it said when it failed. */
export async function succeed(argv: readonly string[], options: ExecuteOptions = {}): Promise<string> {
  const outcome = await execute(argv, options);
  if (outcome.status !== 0) {
    throw new Error(`${argv.join(" ")}: exit status ${outcome.status}\n${outcome.stdout}${outcome.stderr}`);
  }
  return outcome.stdout;
}
