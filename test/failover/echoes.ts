/** ICMP: a ping that goes on, seen by the lines it prints. */
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";

const INTERVAL_SECONDS = 0.05;
const ANSWER = /^64 bytes from /;
const START_DEADLINE_MS = 5_000;

export class Echoes {
  readonly #process: LabProcess;

  static async open(namespace: Namespace, address: string, launcher: readonly string[]): Promise<Echoes> {
    const echoes = new Echoes(namespace.spawn([...launcher, "ping", "-n", "-i", `${INTERVAL_SECONDS}`, address]));
    await echoes.#process.waitForLine(ANSWER, START_DEADLINE_MS);
    return echoes;
  }

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  /** Waits for an answer that comes from now on; whether one did. */
  goesOn(deadlineMs: number): Promise<boolean> {
    const { lines } = this.#process;
    return this.#process.waitForLine(ANSWER, deadlineMs, lines.length).then(
      () => true,
      () => false,
    );
  }

  /** Forgets what came so far. */
  clear(): void {
    this.#process.lines.length = 0;
  }

  close(): void {
    this.#process.kill();
  }
}
