/** What involves the peers: sending them all, asking them for all. Both end when it has arrived, or nobody answers. */

import type { BulkReport, RequestReport } from "../../report.ts";
import { refuse, succeed } from "../../result.ts";
import type { Session } from "../../sync/session.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";

/** Longer than a living peer is ever silent. */
const ANSWER_MS = 3_500;
const WAIT = { peerWaitMs: 2 } as const;

/** A living peer is heard once a second; one whose machine is busy a little later. */
const HEARD_WITHIN_MS = 1_500;

/** `isGone`: who is not waited for, though it may count as connected still. It is sent everything all the same. */
export function* bulk(node: Pick<Node, "links" | "replica">, isGone = nobodyIsGone): Job<BulkReport> {
  const { replica } = node;
  const total = replica.internal.count;
  const sentBefore = replica.counters.wire.flowsSent;
  const asked = replica.sessions.map((session) => session.peerState(monotonicMs()) !== "silent");
  for (const session of replica.sessions) session.bulk();
  const progress = () => ({
    progress: "sending",
    done: Math.min(replica.counters.wire.flowsSent - sentBefore, total),
    total,
  });
  const reached = yield* whileHeard(replica.sessions, asked, (session) => session.bulkDone, progress, isGone);
  const report = { sent: total, unreachable: unreached(node, reached) };
  if (report.unreachable.length === 0) return succeed(report);
  return refuse({ error: `${notHeard(report.unreachable)}; it is sent everything when it comes back`, value: report });
}

export function* request(node: Node): Job<RequestReport> {
  const { replica } = node;
  const before = replica.counters.wire.flowsReceived;
  const received = () => replica.counters.wire.flowsReceived - before;
  for (const session of replica.sessions) session.request();
  const progress = () => ({ progress: "receiving", done: received() });
  const asked = replica.sessions.map(() => true);
  const reached = yield* whileHeard(replica.sessions, asked, (session) => session.requestDone, progress);
  const missing = unreached(node, reached);
  if (missing.length === 0) return succeed({ received: received() });
  return refuse({
    error: `${notHeard(missing)}; it is asked again when it comes back`,
    value: { received: received() },
  });
}

const nobodyIsGone: (peer: number, nowMs: number) => boolean = () => false;

/** Peers that a takeover need not wait for: their link is down now, or they have not been heard when they should have been. */
export function goneFrom({ links, replica }: Pick<Node, "links" | "replica">): typeof nobodyIsGone {
  const isDown = links.map((link) => !link.report().up); // Asked once: a link that goes down later is not heard either.
  return (peer, nowMs) => isDown[peer] || nowMs - replica.sessions[peer].heardMs > HEARD_WITHIN_MS;
}

/** Waits for each session's work; which sessions came to its end before they fell silent. */
function* whileHeard(
  sessions: readonly Session[],
  asked: readonly boolean[],
  isDone: (session: Session) => boolean,
  progress: () => Slice,
  isGone = nobodyIsGone,
): Generator<Slice, boolean[], void> {
  const startMs = monotonicMs();
  let toldMs = startMs;
  const gaveUp = (session: Session, i: number): boolean => {
    const nowMs = monotonicMs();
    return !asked[i] || isGone(i, nowMs) || (session.peerState(nowMs) !== "connected" && nowMs - startMs > ANSWER_MS);
  };
  while (sessions.some((session, i) => !isDone(session) && !gaveUp(session, i))) {
    yield WAIT;
    if (monotonicMs() - toldMs < 200) continue;
    toldMs = monotonicMs();
    yield progress();
  }
  return sessions.map(isDone);
}

const unreached = (node: Pick<Node, "links">, reached: readonly boolean[]): string[] =>
  node.links.filter((_, i) => !reached[i]).map((link) => link.peer);

const notHeard = (peers: readonly string[]): string => `the peer ${peers.join(", ")} does not answer`;
