/**
 * Real-time priority of the loop's thread alone: threads that compile and collect garbage would take their time slices from
 * it. It is given up for long work, and taken back after it (D-008).
 */
import { errnoName } from "../../ffi/errno.ts";
import { scheduleOrdinary, scheduleRealtime } from "../../ffi/scheduler.ts";
import type { Log } from "./log.ts";
import { LongWork } from "./long-work.ts";

export class RealtimePriority {
  readonly #priority: number;
  readonly #log: Log;
  /** The kernel has granted it, and this loop may have it back. */
  #granted = false;
  #has = false;
  readonly #longWork = new LongWork();

  /** `priority` 0: never. */
  constructor(priority: number, log: Log) {
    this.#priority = priority;
    this.#log = log;
  }

  /** There is something to be late for from now on. */
  start(): void {
    if (this.#priority === 0) return;
    this.#granted = true;
    this.#settle();
  }

  worked(milliseconds: number): void {
    this.#longWork.worked(milliseconds);
    this.#settle();
  }

  slept(milliseconds: number): void {
    this.#longWork.slept(milliseconds);
  }

  /** A takeover begins: it has the priority, though the loop may have received a large table just now. */
  takeover(): void {
    this.#longWork.forgive();
    this.#settle();
  }

  #settle(): void {
    const wanted = !this.#longWork.goesOn;
    if (!this.#granted || wanted === this.#has) return;
    const answer = wanted ? scheduleRealtime(this.#priority) : scheduleOrdinary();
    if (answer >= 0) {
      this.#has = wanted;
      return;
    }
    this.#granted = false; // Nor is it asked again: a kernel that refuses does so each time.
    if (!wanted) return;
    this.#log.info(
      `runs as an ordinary process, not with real-time priority ${this.#priority} (${errnoName(answer)}): ` +
        `give the unit LimitRTPRIO=${this.#priority}, or set daemon.realtime_priority to 0`,
    );
  }
}
