/**
 * Whether this node holds all that its peer has, and why: what `ctsync ready` tells keepalived.
 *
 * A primary is ready whatever happens to its cache: the connections are in its kernel, and another primary would be worse.
 */
import type { ReadyReport } from "../report.ts";
import type { Session } from "../sync/session.ts";
import { DIRTY } from "./dirty.ts";
import type { Node } from "./node.ts";

/** A living peer is heard sooner than this after our start, so until then a silent one may still be there. */
const FIRST_WORD_MS = 3_500;
/** Two caches under load are equal now and then: so long ago is recent enough, whatever the last comparison said. */
const PROOF_MS = 30_000;

/** A rehearsal that was kept from running is waited for no longer after our start. */
const REHEARSAL_MS_MAX = 10_000;

/** Reasons why something of the peer's may be missing here. */
const LACKING = ["external-full", "control-dropped"] as const;

export function readiness(node: Node, nowMs: number): ReadyReport {
  const { state, replica, config } = node;
  if (!state.started) return no("the kernel's table has not been read yet");
  if (isAside(node, nowMs))
    return { ...no("this node hands over, or has just done so (ctsync handover)"), aside: true };
  if (state.role === "master") return yes("this node is primary, and the connections are in its kernel");
  if (state.suspect) return no("the kernel dropped events, and its table is being read again");
  if (replica.external.count >= config.sync.flowsMax)
    return no(
      `the external cache is full (sync.flows_max is ${config.sync.flowsMax}), so flows of the peer may be missing`,
    );
  if (node.apply?.isCurrent(nowMs) === false) return no("flows of the peer are still being put into the kernel");
  for (let peer = 0; peer < replica.sessions.length; peer++) {
    const reason = lacking(node, peer, nowMs);
    if (reason !== undefined) return no(reason);
  }
  if (replica.sessions.every((session) => session.peerState(nowMs) === "silent"))
    return yes(`${peersOf(node)} is not heard, so there is nothing that could be missing`);
  if (!state.rehearsed && nowMs - node.startedMs < REHEARSAL_MS_MAX)
    return no("this node has all, but has just started: a takeover would be slow still");
  const leftovers = replica.sessions.reduce((sum, _, peer) => sum + replica.held(peer).leftovers, 0);
  const beside = leftovers === 0 ? "" : `, and ${leftovers} flows that it told before it started anew, for a while`;
  return yes(`this node holds all that ${peersOf(node)} has${beside}`);
}

/** It hands over, or has just done so. Not while the peer cannot be primary: then this node is wanted. */
function isAside({ state, replica }: Node, nowMs: number): boolean {
  const canLead = ({ peerRole }: Session): boolean => peerRole !== "fault" && peerRole !== "stop";
  const isThere = (session: Session): boolean => session.peerState(nowMs) !== "silent" && canLead(session);
  return state.asideUntilMs > nowMs && replica.sessions.some(isThere);
}

/** What of this peer's is not here yet. A peer that nobody hears has nothing for us. */
function lacking(node: Node, peer: number, nowMs: number): string | undefined {
  const session = node.replica.sessions[peer];
  const { peer: address, refusals, counters, sealed } = node.links[peer];
  refusals.look(sealed ? counters : { badVersion: node.replica.counters.wire.badVersion }, nowMs);
  const refused = session.peerState(nowMs) === "silent" ? refusals.recent(nowMs) : undefined;
  if (refused !== undefined) return `datagrams of the peer ${address} come and are refused: ${refused}`;
  if (isGone(node, session, nowMs)) return undefined;
  if (!session.requestDone)
    return session.peerState(nowMs) === "silent"
      ? `the peer ${address} has not been heard yet`
      : `the peer ${address} has not sent all yet that it was asked for`;
  for (const reason of LACKING) if (session.dirt.has(reason)) return `of the peer ${address}: ${DIRTY[reason]}`;
  const held = node.replica.held(peer);
  if (!held.supported || nowMs - held.equalMs <= PROOF_MS) return undefined;
  const neverEqual = held.equalMs === Number.NEGATIVE_INFINITY;
  if (!neverEqual && held.differing === 0) return undefined;
  return neverEqual
    ? `the peer ${address} and this node have not compared their caches yet`
    : `the external cache differs from what the peer ${address} has (${held.differing} parts of it)`;
}

const isGone = (node: Node, session: Session, nowMs: number): boolean =>
  nowMs - node.startedMs >= FIRST_WORD_MS && session.peerState(nowMs) === "silent";

const peersOf = ({ links }: Node): string => `the peer ${links.map((link) => link.peer).join(", ")}`;
const yes = (reason: string): ReadyReport => ({ ready: true, reason, aside: false });
const no = (reason: string): ReadyReport => ({ ready: false, reason, aside: false });
