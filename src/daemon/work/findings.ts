/** What a comparison of the kernel with the internal caches tells of (compare.ts, compare-expectations.ts). */
import type { Expectation } from "../../flow/expectation.ts";
import type { Flow } from "../../flow/flow.ts";
import { monotonicMs } from "../clock.ts";
import type { Slice } from "../jobs.ts";

/** Who wants to know. The flows are valid during the call alone. */
export interface Findings extends ExpectationFindings {
  /** The kernel has it, the cache has not. */
  missing(kernel: Flow, nowMs: number): void;
  /** Both have it, and the kernel's says something else. */
  changed(kernel: Flow, slot: number, nowMs: number): void;
  /** The cache has it, the kernel has not; or the filter leaves it out now. */
  dead(slot: number, nowMs: number): void;
  /** Both have it: the kernel's timer, and what the cache makes of it. */
  timer(slot: number, kernelSeconds: number, cachedSeconds: number, nowMs: number): void;
}

/** The same of expectations. */
export interface ExpectationFindings {
  missingExpectation(kernel: Expectation, nowMs: number): void;
  changedExpectation(kernel: Expectation, slot: number, nowMs: number): void;
  /** `ranOut`: its time was over, so that it ended by itself is nothing that should have been told. */
  deadExpectation(slot: number, ranOut: boolean, nowMs: number): void;
  /** Both have it, and what is left of its time differs. */
  expectationTimer(kernel: Expectation, nowMs: number): void;
}

/** Another reread of the kernel began meanwhile and does the work. */
export const SUPERSEDED = "superseded";

const EVENTS_WAIT_MS = 1;

/** Until every event has been worked off that the kernel had raised before; `readMs`: when they were last. */
export function* eventsRead(readMs: () => number): Generator<Slice, void, void> {
  const sinceMs = monotonicMs();
  while (readMs() <= sinceMs) yield EVENTS_WAIT_MS;
}
