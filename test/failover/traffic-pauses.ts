/**
 * A program that stands still hears nothing, and what it measures then is its own silence: garbage is collected, or the processor
 * is somebody else's. Programs of the hosts say on their output when they did, and for how long.
 */
import { nowMs } from "./traffic-stream.ts";

const LOOK_MS = 2;
/** Shorter ones are not told. */
const TOLD_MS = 10;
const LINE = /^paused for (\S+) ms until (\S+)$/;

export function tellPauses(): void {
  let lastMs = nowMs();
  setInterval(() => {
    const now = nowMs();
    if (now - lastMs > TOLD_MS) console.log(`paused for ${(now - lastMs).toFixed(1)} ms until ${now.toFixed(1)}`);
    lastMs = now;
  }, LOOK_MS);
}

/** The longest pause in a program's output that ended after `sinceMs`; 0: none. */
export function longestPauseMs(lines: readonly { readonly text: string }[], sinceMs: number): number {
  const pauses = lines.map(({ text }) => LINE.exec(text)).filter((found) => found !== null);
  return Math.max(0, ...pauses.filter(([, , until]) => Number(until) > sinceMs).map(([, paused]) => Number(paused)));
}
