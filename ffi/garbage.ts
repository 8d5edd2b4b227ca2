/** The runtime's garbage. Source: bun:jsc. */
import { fullGC } from "bun:jsc";

/** Collects all of it, and returns when that is done. */
export const collectGarbage = (): void => void fullGC();
