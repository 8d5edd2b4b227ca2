/**
 * How far a cached timer may be from the kernel's before it is moved. A UDP flow's own two minutes never drift so far: what
 * has run out in the cache still counts as a minute (remaining.ts). An established TCP flow's five days may, by 15 hours.
 */
const DRIFT_SECONDS = 120;
const DRIFT_SHARE = 1 / 8;

export function hasDrifted(kernelSeconds: number, cachedSeconds: number): boolean {
  const allowed = Math.max(DRIFT_SECONDS, Math.max(kernelSeconds, cachedSeconds) * DRIFT_SHARE);
  return Math.abs(kernelSeconds - cachedSeconds) > allowed;
}

/** The same with the room that timers need between two comparisons, each of which may take minutes. */
export function isWrongTimer(kernelSeconds: number, cachedSeconds: number): boolean {
  const allowed = Math.max(5 * DRIFT_SECONDS, Math.max(kernelSeconds, cachedSeconds) * DRIFT_SHARE * 2);
  return Math.abs(kernelSeconds - cachedSeconds) > allowed;
}

/** More than the moments between reading a timer and storing it, and whole seconds, make of it: a packet has passed. */
const RENEWED_SECONDS = 5;

export const wasRenewed = (kernelSeconds: number, cachedSeconds: number): boolean =>
  kernelSeconds - cachedSeconds > RENEWED_SECONDS;
