/**
 * A reading of the kernel's table that the replica asked for: of a flow that a peer has let go while it stands here, or that an
 * event told only in part, the kernel alone knows. It is work that can wait, and takes WANTED_SHARE of a core at most.
 */
import { monotonicMs } from "../clock.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";
import { paced } from "./paced.ts";
import { resync } from "./resync.ts";

const WANTED_SHARE = 0.1;
/** One reading answers all that is asked for in so long. */
const GATHER_MS = 250;
/** Readings begin so far apart, and each takes the share above. */
const LEAST_MS = 1_000;

export function* wantedReading(node: Node): Job<void> {
  const { ownership } = node.replica;
  yield GATHER_MS;
  while (node.state.suspect || node.state.rereading > 0) yield GATHER_MS;
  const startMs = monotonicMs();
  const claims = ownership.wantsClaims;
  ownership.wantsReading = false;
  ownership.wantsClaims = false;
  const read = yield* paced(resync(node, claims), WANTED_SHARE);
  if (!read.ok) {
    ownership.wantsReading = true;
    ownership.wantsClaims = claims;
  }
  yield Math.max(0, startMs + LEAST_MS - monotonicMs());
  return read.ok ? { ok: true, value: undefined } : { ok: false, error: { error: read.error.error } };
}
