/**
 * Long work in slices: a commit, a reread of the kernel, a bulk. Jobs run one at a time, in the order they came, a slice a
 * turn of the loop, so that none stalls replication and two never mix.
 *
 * A job is a generator: it works for a slice and yields how long it has nothing to do (0: go on next turn), or progress; what
 * it returns is its answer.
 */
import type { ProgressLine } from "../report.ts";
import type { Result } from "../result.ts";

/** Milliseconds until the job wants to go on, or progress to tell. */
export type Slice = number | ProgressLine;
export type Job<T> = Generator<Slice, Result<T, Failure<T>>, void>;
/** Why the work did not succeed, and how far it went. */
export interface Failure<T> {
  readonly error: string;
  readonly value?: T;
}

/** Longest slice: what replication waits for at most. */
export const SLICE_MS = 2;

interface Waiting {
  run(nowMs: number): boolean;
  dueMs: number;
}

export class Jobs {
  readonly #waiting: Waiting[] = [];

  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** When the job in hand wants its next slice. */
  get dueMs(): number {
    return this.#waiting[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Queues a job; the answer comes when it is done. A throw inside is a bug and reaches whoever asked. */
  add<T>(job: Job<T>, progress: (line: ProgressLine) => void = () => {}): Promise<Result<T, Failure<T>>> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        dueMs: 0,
        run: (nowMs) => {
          try {
            const slice = job.next();
            if (slice.done) resolve(slice.value);
            else if (typeof slice.value === "number") waiting.dueMs = nowMs + slice.value;
            else progress(slice.value);
            return slice.done ?? false;
          } catch (error) {
            reject(error);
            return true;
          }
        },
      };
      this.#waiting.push(waiting);
    });
  }

  /** Gives the job in hand its slice. */
  turn(nowMs: number): void {
    const job = this.#waiting[0];
    if (job === undefined || job.dueMs > nowMs) return;
    if (job.run(nowMs)) this.#waiting.shift();
  }
}
