/**
 * Long work in slices: a commit, a reread of the kernel, a bulk. Jobs run one at a time, in the order they came, a slice a
 * turn of the loop, so that none stalls replication and two never mix. Only a job that waits for a peer lets those behind
 * it pass: a takeover must not wait for an answer of the firewall that has just died (D-002).
 *
 * What nobody waits for (`addIdle`) has a slice in turns in which no other job had one; of several, the first that does
 * not rest.
 *
 * A job is a generator: it works for a slice and yields how long it has nothing to do (0: go on next turn), that it waits
 * for a peer, or progress; what it returns is its answer.
 */
import type { ProgressLine } from "../report.ts";
import type { Result } from "../result.ts";

/** Milliseconds until the job wants to go on, the same while it waits for a peer, or progress to tell. */
export type Slice = number | PeerWait | ProgressLine;
export interface PeerWait {
  readonly peerWaitMs: number;
}
export type Job<T> = Generator<Slice, Result<T, Failure<T>>, void>;
/** Why the work did not succeed, and how far it went. */
export interface Failure<T> {
  readonly error: string;
  readonly value?: T;
}

/** Longest slice: what replication waits for at most. */
export const SLICE_MS = 2;

interface Waiting {
  /** True when the job is done. */
  run(nowMs: number): boolean;
  dueMs: number;
  /** It waits for a peer: those behind it may pass. */
  givesWay: boolean;
}

export class Jobs {
  readonly #waiting: Waiting[] = [];
  readonly #idle: Waiting[] = [];

  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** When a job whose turn it is wants its next slice. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const job of this.#waiting) {
      dueMs = Math.min(dueMs, job.dueMs);
      if (!job.givesWay) return dueMs;
    }
    for (const job of this.#idle) dueMs = Math.min(dueMs, job.dueMs);
    return dueMs;
  }

  /** Queues a job; the answer comes when it is done. A throw inside is a bug and reaches whoever asked. */
  add<T>(job: Job<T>, progress: (line: ProgressLine) => void = () => {}): Promise<Result<T, Failure<T>>> {
    return this.#queue(this.#waiting, job, progress);
  }

  /** The same for work that can wait for ever. */
  addIdle<T>(job: Job<T>): Promise<Result<T, Failure<T>>> {
    return this.#queue(this.#idle, job, () => {});
  }

  /** Gives the jobs whose turn it is a slice each: those that wait for a peer, and the first that does not. */
  turn(nowMs: number): void {
    for (let i = 0; i < this.#waiting.length; i++) {
      const job = this.#waiting[i];
      const givesWay = job.givesWay;
      if (job.dueMs <= nowMs && job.run(nowMs)) this.#waiting.splice(i--, 1);
      if (!givesWay) return;
    }
    for (let i = 0; i < this.#idle.length; i++) {
      if (this.#idle[i].dueMs > nowMs) continue;
      if (this.#idle[i].run(nowMs)) this.#idle.splice(i, 1);
      return;
    }
  }

  #queue<T>(queue: Waiting[], job: Job<T>, progress: (line: ProgressLine) => void): Promise<Result<T, Failure<T>>> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        dueMs: 0,
        givesWay: false,
        run: (nowMs) => {
          try {
            const slice = job.next();
            if (slice.done) resolve(slice.value);
            else if (typeof slice.value !== "number" && "progress" in slice.value) progress(slice.value);
            else {
              waiting.givesWay = typeof slice.value !== "number";
              waiting.dueMs = nowMs + (typeof slice.value === "number" ? slice.value : slice.value.peerWaitMs);
            }
            return slice.done ?? false;
          } catch (error) {
            reject(error);
            return true;
          }
        },
      };
      queue.push(waiting);
    });
  }
}
