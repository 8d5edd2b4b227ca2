/** The daemon's state as `ctsync status` shows it. */
import { explainRefusal } from "../kernel/explain-errno.ts";
import type { AuditReport, Counters, LongestPauseReport, PeerReport, StatusReport } from "../report.ts";
import type { ApplyReport } from "../report-apply.ts";
import type { TakenOnReport } from "../report-roles.ts";
import { VERSION } from "../version.ts";
import { noExpectations, noneApplied } from "./apply-counters.ts";
import { monotonicMs } from "./clock.ts";
import { DIRTY } from "./dirty.ts";
import type { Node } from "./node.ts";
import type { Pauses } from "./pauses.ts";
import { readiness } from "./readiness.ts";
import type { Roles } from "./roles.ts";
import { refusal } from "./work/refusal.ts";

export function statusReport(node: Node, roles: Roles): StatusReport {
  const { replica, events, state } = node;
  const nowMs = monotonicMs();
  const { lastRoleChange: change, lastCommit } = state;
  const secondsAgo = (atMs: number): number => Math.floor((nowMs - atMs) / 1_000);
  const { ready, reason } = readiness(node, nowMs);
  const splitMs = roles.splitMs(nowMs);
  return {
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: Math.floor((nowMs - node.startedMs) / 1_000),
    role: state.role,
    ready,
    readyReason: reason,
    internal: replica.internal.count,
    external: replica.external.count,
    flowsMax: node.config.sync.flowsMax,
    expectations: {
      internal: replica.expectations.internal.count,
      external: replica.expectations.external.count,
      max: replica.expectations.internal.slotsMax,
    },
    peer: peerReport(node, nowMs),
    link: node.links[0].report(),
    apply: applyReport(node, nowMs),
    kernel: {
      events: events.received,
      overruns: events.overruns,
      bufferBytes: events.bufferBytes,
      suspect: state.suspect,
    },
    audit: auditReport(node, nowMs),
    loop: {
      turns: node.pauses.turns,
      longestPauseMs: node.pauses.longestMs,
      recentPauseMs: node.pauses.recentMs(nowMs),
      longest: longestPause(node.pauses, nowMs),
    },
    lastRoleChange:
      change === null
        ? null
        : {
            role: change.role,
            ok: change.ok,
            milliseconds: change.milliseconds,
            secondsAgo: secondsAgo(change.atMs),
          },
    lastCommit: lastCommit === null ? null : { ...lastCommit.report, secondsAgo: secondsAgo(lastCommit.atMs) },
    recorder: node.flight.report(),
    keepalived: roles.report(),
    gate: node.gate.report(),
    splitBrain: splitMs === null ? null : { seconds: Math.floor(splitMs / 1_000) },
    takenOn: takenOnReport(node, nowMs),
    requests: state.requests,
    counters: counters(node),
  };
}

function longestPause({ longest }: Pauses, nowMs: number): LongestPauseReport | null {
  if (longest === null) return null;
  const { atMs, milliseconds: _, ...told } = longest;
  return { secondsAgo: Math.floor((nowMs - atMs) / 1_000), ...told };
}

function takenOnReport({ state: { takenOn } }: Node, nowMs: number): TakenOnReport | null {
  if (takenOn === null) return null;
  const { atMs, ...taken } = takenOn;
  return { ...taken, secondsAgo: Math.floor((nowMs - atMs) / 1_000) };
}

function auditReport({ audit: { last } }: Node, nowMs: number): AuditReport | null {
  if (last === null) return null;
  const { atMs, ...found } = last;
  return { secondsAgo: Math.floor((nowMs - atMs) / 1_000), ...found };
}

function applyReport(node: Node, nowMs: number): ApplyReport {
  const { apply, replica } = node;
  const queue = replica.live?.queue;
  return {
    mode: node.config.sync.apply,
    active: queue?.active ?? false,
    waiting: queue?.waiting ?? 0,
    withdrawing: queue?.withdrawing ?? 0,
    oldestMs: queue === undefined || queue.waiting === 0 ? 0 : Math.max(0, Math.round(nowMs - queue.oldestMs)),
    standing: queue?.standing ?? 0,
    failing: queue?.failing ?? 0,
    refusals: [...(apply?.refusals ?? [])].map(([errno, count]) => refusal(errno, explainRefusal(errno), count)),
    expectations: {
      standing: apply?.expectations.standing ?? 0,
      failing: apply?.expectations.failing ?? 0,
      refusals: apply?.expectations.refusals ?? [],
    },
  };
}

function peerReport(node: Node, nowMs: number): PeerReport {
  const session = node.replica.sessions[0];
  const { resent, lost } = session.counters;
  return {
    address: node.links[0].peer,
    state: session.peerState(nowMs),
    role: session.extended ? session.peerRole : null,
    bulk: session.bulkProgress,
    lastHeardMs: Number.isFinite(session.heardMs) ? Math.round(nowMs - session.heardMs) : null,
    lagMs: Math.round(session.lagMs(nowMs)),
    dirty: dirtyReason(node, 0),
    proof: proofReport(node, 0, nowMs),
    unacknowledged: session.inFlight,
    queued: session.queued,
    resent: resent ?? 0,
    lost: lost ?? 0,
  };
}

/** What the peer is known to lack, or to hold wrongly. */
function dirtyReason({ state, replica }: Node, peer: number): string | null {
  if (state.suspect) return "events of the kernel were lost, and its table is being read again";
  if (!replica.sessions[peer].bulkDone) return "the peer has not acknowledged all yet that it is sent as a whole";
  const { dirty } = replica.sessions[peer];
  if (dirty !== null) return DIRTY[dirty];
  const { supported, differing } = replica.proof(peer);
  if (supported && differing > 0) return `${differing} parts of the peer's table differed at the last comparison`;
  return null;
}

function proofReport({ replica }: Node, peer: number, nowMs: number): PeerReport["proof"] {
  const { supported, equalMs, flows, expectations, leftovers } = replica.proof(peer);
  if (!supported || !Number.isFinite(equalMs)) return null;
  return { secondsAgo: Math.floor((nowMs - equalMs) / 1_000), flows, expectations, leftovers };
}

function counters(node: Node): Counters {
  const { replica, events, expectationEvents, commit, expectationCommit } = node;
  const [link] = node.links;
  return {
    kernel: {
      received: events.received,
      malformed: events.malformed,
      unknown: events.unknown,
      truncated: events.truncated,
      overruns: events.overruns,
      committed: commit.committed,
      refused: commit.refused,
      expectationEvents: expectationEvents?.received ?? 0,
      expectationsMalformed: expectationEvents?.malformed ?? 0,
      expectationOverruns: expectationEvents?.overruns ?? 0,
      expectationsCommitted: expectationCommit.committed,
      expectationsRefused: expectationCommit.refused,
    },
    apply: {
      ...(node.apply?.counters ?? noneApplied()),
      ...(node.apply?.expectations.counters ?? noExpectations()),
    },
    gate: { ...node.gate.counters },
    cache: { ...replica.counters.cache },
    audit: { ...node.audit.counters },
    wire: { ...replica.counters.wire },
    peer: { ...replica.sessions[0].counters },
    proof: { ...replica.counters.proof },
    link: { ...link.counters, dropped: link.channel?.drops ?? 0 },
  };
}
