/**
 * How long the loop did not look at the world: from waking up until it sleeps again. What replication waits for at most.
 * Counted once the kernel's table has been read for the first time.
 *
 * Of the longest it is kept what it did, and whether it worked: a thread that is ready and has no processor, or that waits
 * in the kernel, stands still as well, and no profile of its code shows it.
 */
const MINUTE_MS = 60_000;
/** What is shorter needs no explanation. */
const EXPLAINED_MS = 2;

/** What a turn consists of. */
export type Part =
  | "events"
  | "expectations"
  | "datagrams"
  | "roles"
  | "apply"
  | "job"
  | "timers"
  | "sending"
  | "watches"
  | "bun";

/** What a thread has used of the processor: `ThreadUsage` of ffi. */
export interface Usage {
  look(): void;
  readonly cpuMs: number;
  readonly waits: number;
  readonly preemptions: number;
  readonly diskFaults: number;
}

export interface LongestPause {
  readonly milliseconds: number;
  /** When it ended. */
  readonly atMs: number;
  /** Its longest part. */
  readonly part: Part;
  readonly partMs: number;
  /** How long it had a processor. */
  readonly cpuMs: number;
  /** How often it waited for something, how often the processor was taken away, pages that came from a disk. */
  readonly waits: number;
  readonly preemptions: number;
  readonly diskFaults: number;
}

export class Pauses {
  /** Turns of the loop. */
  turns = 0;
  /** Since the start, once one was worth an explanation. */
  longest: LongestPause | null = null;
  readonly #before: Usage;
  readonly #after: Usage;
  #beganMs = 0;
  #partBeganMs = 0;
  #longestPart: Part = "events";
  #longestPartMs = 0;
  #longestMs = 0;
  #minute = 0;
  #thisMinuteMs = 0;
  #lastMinuteMs = 0;

  /** Two views of the loop's thread. */
  constructor(before: Usage, after: Usage) {
    this.#before = before;
    this.#after = after;
  }

  /** Since the start. */
  get longestMs(): number {
    return this.#longestMs;
  }

  began(nowMs: number): void {
    this.#before.look();
    this.#beganMs = nowMs;
    this.#partBeganMs = nowMs;
    this.#longestPartMs = 0;
  }

  /** The turn did `part` since it began, or since its last part. */
  did(part: Part, nowMs: number): void {
    const milliseconds = nowMs - this.#partBeganMs;
    this.#partBeganMs = nowMs;
    if (milliseconds <= this.#longestPartMs) return;
    this.#longestPartMs = milliseconds;
    this.#longestPart = part;
  }

  ended(nowMs: number): void {
    const milliseconds = nowMs - this.#beganMs;
    this.turns++;
    this.#turnOver(nowMs);
    if (milliseconds > this.#thisMinuteMs) this.#thisMinuteMs = milliseconds;
    if (milliseconds <= this.#longestMs) return;
    this.#longestMs = milliseconds;
    if (milliseconds >= EXPLAINED_MS) this.#explain(milliseconds, nowMs);
  }

  /** Of the last one to two minutes. */
  recentMs(nowMs: number): number {
    this.#turnOver(nowMs);
    return Math.max(this.#thisMinuteMs, this.#lastMinuteMs);
  }

  #explain(milliseconds: number, atMs: number): void {
    const [before, after] = [this.#before, this.#after];
    after.look();
    this.longest = {
      milliseconds,
      atMs,
      part: this.#longestPart,
      partMs: this.#longestPartMs,
      cpuMs: Math.max(0, after.cpuMs - before.cpuMs),
      waits: after.waits - before.waits,
      preemptions: after.preemptions - before.preemptions,
      diskFaults: after.diskFaults - before.diskFaults,
    };
  }

  #turnOver(nowMs: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#lastMinuteMs = minute === this.#minute + 1 ? this.#thisMinuteMs : 0;
    this.#thisMinuteMs = 0;
    this.#minute = minute;
  }
}
