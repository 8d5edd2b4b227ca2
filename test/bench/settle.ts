/** Waiting for a figure to come to rest: it hardly changes any more over two seconds. */
import { until } from "../lab/until.ts";

const POLL_MS = 100;
const QUIET_POLLS = 20;
const DEADLINE_MS = 30_000;

/** The value of `read` once twenty readings in a row lie within `tolerance` of the first of them. */
export function settled(read: () => number, tolerance: number, what: string): Promise<number> {
  let reference = read();
  let quietPolls = 0;
  const quiet = (): number | undefined => {
    const value = read();
    if (Math.abs(value - reference) > tolerance) {
      reference = value;
      quietPolls = 0;
    } else if (++quietPolls === QUIET_POLLS) return value;
    return undefined;
  };
  return until(quiet, DEADLINE_MS, `${what} comes to rest`, POLL_MS);
}
