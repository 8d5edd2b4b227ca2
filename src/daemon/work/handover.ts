/**
 * Planned handover, asked for on the primary: everything is sent and acknowledged, the caches are proven equal, the peer
 * commits ahead of time, and only then this node stands aside (`ctsync ready` turns false), so that keepalived moves the
 * addresses. Until that last step nothing has changed; when keepalived does not move in time, it is taken back (D-022).
 *
 * Proof and preparation need a ctsync that is sealed; with any other peer only what can be done is done, and said.
 */
import type { HandoverReport, HandoverStep } from "../../report.ts";
import { refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { commit, rereadAfter } from "./commit.ts";
import { relaxWindows } from "./kernel-table.ts";

/** Each step before the last has so long at most. */
const STEP_MS = 10_000;
const WAIT = { peerWaitMs: 2 } as const;
const PROGRESS_MS = 200;
/** While this node stands aside the peer commits what it was told since, this often. */
const PREPARE_AGAIN_MS = 1_000;
/** Such a commit leaves out what the one of all flows brought, unless that was so long ago that timers may have run out. */
const WHOLE_AGAIN_MS = 15_000;
/** Only one peer so far. */
const PEER = 0;

/** `holdMs`: how long this node stands aside once the peer is primary. */
export function* handover(node: Node, timeoutMs: number, holdMs: number): Job<HandoverReport> {
  const { state, replica, links } = node;
  const startMs = monotonicMs();
  const steps: HandoverStep[] = [];
  const tell = (text: string): void => {
    const milliseconds = Math.round(monotonicMs() - startMs);
    steps.push({ text, milliseconds });
    node.log.info(`handover: ${text} (after ${milliseconds} ms)`);
    node.flight.note("handover", text, { a: milliseconds });
  };
  const fail = (error: string) => {
    node.log.warning(`handover: ${error}`);
    return refuse({ error, value: { steps } });
  };
  const [session] = replica.sessions;
  const peer = links[PEER].peer;
  if (state.role !== "master") return fail(`this node is ${state.role}, not primary: run it on the other firewall`);
  if (state.asideUntilMs > startMs) return fail("a handover is under way already");
  if (session.peerState(startMs) !== "connected")
    return fail(`the peer ${peer} is not connected, so nobody can take over`);

  const drained = () => session.queued + session.inFlight === 0;
  if (!(yield* waitFor(drained, STEP_MS, "draining")))
    return fail(`${session.queued + session.inFlight} flows are still on their way to ${peer}. Nothing has changed`);
  tell(`${peer} has acknowledged everything`);

  if (replica.proof(PEER).supported) {
    const sinceMs = monotonicMs();
    replica.prove(PEER);
    const equal = () => replica.proof(PEER).equalMs >= sinceMs;
    if (!(yield* waitFor(equal, STEP_MS, "proving")))
      return fail(`${peer} does not hold what this node has (see ctsync verify). Nothing has changed`);
    tell(`${peer} is proven to hold all ${replica.proof(PEER).flows} flows`);
    const prepared = yield* prepare(node);
    if (prepared === undefined) tell(`${peer} did not say that it committed them ahead: it commits when it takes over`);
    else if (prepared.refused > 0)
      return fail(`${peer} could not commit ${prepared.refused} flows (see its log). Nothing has changed`);
    else tell(`${peer} has committed ${prepared.taken} flows ahead`);
  } else tell(`${peer} is not a sealed ctsync: no proof, and it commits only when it takes over`);

  const failure = yield* standAside(node, timeoutMs, holdMs, tell);
  return failure === undefined ? succeed({ steps }) : fail(failure);
}

/**
 * Lets keepalived move the addresses; why it did not, undefined when it did. For a moment both nodes forward then, each a
 * way of the same connections, so this kernel's windows are checked no more (D-028). The peer commits what began since.
 */
function* standAside(
  node: Node,
  timeoutMs: number,
  holdMs: number,
  tell: (text: string) => void,
): Generator<Slice, string | undefined, void> {
  const { state, replica, links, newWindows } = node;
  const [session] = replica.sessions;
  const peer = links[PEER].peer;
  const preparation = replica.hosts[PEER]?.preparation;
  let askedMs = monotonicMs();
  const prepareAgain = (): void => {
    if (preparation?.answered === undefined || monotonicMs() - askedMs < PREPARE_AGAIN_MS) return;
    preparation.ask();
    askedMs = monotonicMs();
  };
  newWindows.relaxes = true;
  try {
    const relaxed = yield* relaxWindows(node);
    if (!relaxed.ok) return `${relaxed.error.error}. Nothing else has changed`;
    const strict = relaxed.value.relaxed;
    tell(`TCP flows may go one way through each firewall: the windows of ${strict} more are checked no longer`);
    state.asideUntilMs = monotonicMs() + timeoutMs;
    tell("stands aside: ctsync ready is false");
    const words = state.words;
    const moved = (): boolean => {
      prepareAgain();
      return state.words !== words && state.role !== "master" && (!session.extended || session.peerRole === "master");
    };
    if (!(yield* waitFor(moved, timeoutMs, "waiting for keepalived"))) {
      state.asideUntilMs = Number.NEGATIVE_INFINITY;
      if (state.role !== "master") return `this node is ${state.role} now, but ${peer} does not say that it is primary`;
      return (
        `keepalived did not move within ${timeoutMs / 1_000} s, and this node is primary as before. Does a vrrp_script with ` +
        "a weight run ctsync ready (ctsync ready --help)? By hand: systemctl stop keepalived"
      );
    }
    state.asideUntilMs = monotonicMs() + holdMs;
    tell(`${peer} is primary, this node is ${state.role}; ctsync ready stays false for ${holdMs / 1_000} s more`);
    return undefined;
  } finally {
    newWindows.relaxes = false;
    preparation?.giveUp();
    if (newWindows.refused > 0)
      node.log.warning(
        `handover: the kernel goes on checking the windows of ${newWindows.refused} TCP flows that began meanwhile`,
      );
    newWindows.refused = 0;
  }
}

/** What the peer committed ahead; undefined when it does not answer. */
function* prepare({ replica }: Node) {
  const preparation = replica.hosts[PEER]?.preparation;
  if (preparation === undefined) return undefined;
  preparation.ask();
  yield* waitFor(() => preparation.answered !== undefined, STEP_MS, "the peer commits ahead");
  preparation.giveUp();
  return preparation.answered;
}

function* waitFor(condition: () => boolean, forMs: number, what: string): Generator<Slice, boolean, void> {
  const startMs = monotonicMs();
  let toldMs = startMs;
  while (!condition()) {
    const nowMs = monotonicMs();
    if (nowMs - startMs > forMs) return false;
    yield WAIT;
    if (nowMs - toldMs < PROGRESS_MS) continue;
    toldMs = nowMs;
    yield { progress: `${what}, seconds`, done: Math.round((nowMs - startMs) / 1_000) };
  }
  return true;
}

/** The other side of it: a peer that is about to hand over asks this node to commit ahead. A primary does no such thing. */
export function answerPreparations(node: Node): void {
  for (const host of node.replica.hosts) {
    if (host === undefined || host.preparation.asked === 0 || node.state.preparing) continue;
    if (node.state.role === "master") {
      host.preparation.answer({ taken: 0, refused: node.replica.external.count });
      continue;
    }
    node.state.preparing = true;
    const startMs = monotonicMs();
    const isWhole = startMs - node.state.committedAheadMs >= WHOLE_AGAIN_MS;
    if (isWhole) node.log.info("the peer hands over: committing ahead");
    void node.jobs.add(commitAhead(node, isWhole)).then((result) => {
      const report = result.ok ? result.value : result.error.value;
      node.state.preparing = false;
      host.preparation.answer({ taken: report?.taken ?? 0, refused: report?.refused ?? 0 });
      const milliseconds = Math.round(monotonicMs() - startMs);
      if (isWhole) node.flight.note("handover", `committed ${report?.taken ?? 0} flows ahead`, { a: milliseconds });
    });
  }
}

/**
 * Where the kernel follows the peer, only what waits is left to commit. The gate stays as it is: what begins from now on is not
 * in the kernel before the takeover's own commit.
 */
function* commitAhead(node: Node, isWhole: boolean): Job<{ readonly taken: number; readonly refused: number }> {
  const { apply, state } = node;
  if (isWhole) state.committedAheadMs = monotonicMs();
  if (apply?.active) {
    const { refused } = yield* apply.drain();
    yield* apply.expectations.drain();
    return succeed({ taken: apply.standing, refused });
  }
  const { external } = node.replica;
  if (isWhole) external.beginTakeover();
  else if (external.toldSince === 0) return succeed({ taken: 0, refused: 0 });
  const result = yield* isWhole ? commit(node) : commit(node, (slot) => external.wasToldSince(slot));
  if (isWhole) rereadAfter(node);
  const report = result.ok ? result.value : result.error.value;
  const value = { taken: (report?.committed ?? 0) + (report?.updated ?? 0), refused: report?.failed ?? 0 };
  return result.ok ? succeed(value) : refuse({ error: result.error.error, value });
}
