/**
 * Medians, spreads and ratios of readings.
 *
 * The spread is the whole range, lowest to highest. With three to five repeats quartiles would be inventions between
 * two readings; the range hides nothing.
 *
 * A ratio is the median of the ratios within each repeat, not the ratio of the two medians. The readings of one repeat
 * follow each other at once, so a machine that slows down for a minute slows both sides of the pair and leaves their
 * ratio alone. It also gives the ratio a spread of its own. It may differ a little from the quotient of the medians.
 */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** The reading of one repeat. */
export interface Reading {
  readonly repeat: number;
  readonly value: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Undefined when there is nothing to sum up. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

/** Ratios `ours`/`theirs` of the repeats that have both. Without sign or beside zero a ratio means nothing, and is left out. */
export function pairedRatios(ours: readonly Reading[], theirs: readonly Reading[]): number[] {
  return ours.flatMap(({ repeat, value }) => {
    const pair = theirs.find((reading) => reading.repeat === repeat);
    return pair !== undefined && pair.value > 0 && value >= 0 ? [value / pair.value] : [];
  });
}
