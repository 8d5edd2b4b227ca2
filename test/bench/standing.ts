/**
 * How many times better than conntrackd ctsync is, so that all rows fit on one scale where better is more: of a cost it
 * is conntrackd's through ctsync's, of a rate the other way round.
 */
import type { Goal } from "./measure.ts";
import type { RowSummary } from "./verdict.ts";

/** All in times better than conntrackd. */
export interface Standing {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly goals: readonly number[];
  readonly limit: number | undefined;
}

/** Undefined where conntrackd has no reading, or a ratio means nothing. */
export function standingOf({ row, subjects, ratios, goals }: RowSummary): Standing | undefined {
  const ratio = ratios.conntrackd;
  const { conntrackd, limit } = subjects;
  if (ratio === undefined || conntrackd === undefined || ratio.min <= 0) return undefined;
  const better = (factor: number): number => (row.better === "lower" ? 1 / factor : factor);
  const wantedFactor = (goal: Goal): number => {
    if ("absolute" in goal) return goal.absolute / conntrackd.median;
    return goal.of === "conntrackd" ? goal.factor : (goal.factor * (limit?.median ?? 0)) / conntrackd.median;
  };
  const limitFactor = (limit?.median ?? 0) / conntrackd.median;
  return {
    median: better(ratio.median),
    min: Math.min(better(ratio.min), better(ratio.max)),
    max: Math.max(better(ratio.min), better(ratio.max)),
    goals: goals
      .map(({ goal }) => wantedFactor(goal))
      .filter((factor) => factor > 0)
      .map(better),
    limit: limitFactor > 0 ? better(limitFactor) : undefined,
  };
}

/** No program is a thousand times as good as another; what were so would stand at the edge. */
const POWERS = [-3, -2, -1, 0, 1, 2, 3];
const FINE_TICKS_MAX = 8; // more would not find room for their labels

/** Nice numbers for a logarithmic scale: the first below everything that stands there, the last above it, 1 between. */
export function scaleTicks(standings: readonly Standing[]): number[] {
  const all = standings.flatMap(({ min, max, goals, limit }) => [min, max, ...goals, limit ?? 1]);
  const fine = ticksAround(all, [1, 2, 5]);
  return fine.length <= FINE_TICKS_MAX ? fine : ticksAround(all, [1]);
}

function ticksAround(values: readonly number[], steps: readonly number[]): number[] {
  const nice = POWERS.flatMap((power) => steps.map((step) => step * 10 ** power));
  const from = nice.findLastIndex((value) => value <= Math.min(0.5, ...values));
  const to = nice.findIndex((value) => value >= Math.max(2, ...values));
  return nice.slice(Math.max(from, 0), to < 0 ? undefined : to + 1);
}
