/** Milliseconds that never go back, whatever happens to the wall clock. */
export const monotonicMs = (): number => Bun.nanoseconds() / 1e6;
