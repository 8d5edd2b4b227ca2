/**
 * Sequence numbers: 32-bit serial numbers that wrap at 2^32, compared by the sign of their difference.
 */

/** True when `a` comes before `b`. */
export const isBefore = (a: number, b: number): boolean => ((a - b) | 0) < 0;
/** How far `b` is ahead of `a`; negative when it is behind. */
export const distance = (a: number, b: number): number => (b - a) | 0;
export const next = (seq: number): number => (seq + 1) >>> 0;
export const previous = (seq: number): number => (seq - 1) >>> 0;
