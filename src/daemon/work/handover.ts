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
import { commitAlone } from "./commit.ts";

/** Each step before the last has so long at most. */
const STEP_MS = 10_000;
const WAIT = { peerWaitMs: 2 } as const;
const PROGRESS_MS = 200;
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
  const fail = (error: string) => refuse({ error, value: { steps } });
  const [session] = replica.sessions;
  const peer = links[PEER].peer;
  if (state.role !== "master") return fail(`this node is ${state.role}, not primary: run it on the other firewall`);
  if (state.asideUntilMs > startMs) return fail("a handover is under way already");
  if (session.peerState(startMs) !== "connected")
    return fail(`the peer ${peer} is not connected, so nobody can take over`);

  const drained = () => session.queued === 0 && session.unacknowledged === 0;
  if (!(yield* waitFor(drained, STEP_MS, "draining")))
    return fail(
      `${session.queued + session.unacknowledged} messages are still on their way to ${peer}. Nothing has changed`,
    );
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

  state.asideUntilMs = monotonicMs() + timeoutMs;
  tell("stands aside: ctsync ready is false");
  const words = state.words;
  const moved = () =>
    state.words !== words && state.role !== "master" && (!session.extended || session.peerRole === "master");
  if (!(yield* waitFor(moved, timeoutMs, "waiting for keepalived"))) {
    state.asideUntilMs = Number.NEGATIVE_INFINITY;
    if (state.role === "master")
      return fail(
        `keepalived did not move within ${timeoutMs / 1_000} s, and this node is primary as before. Does a vrrp_script with ` +
          "a weight run ctsync ready (ctsync ready --help)? By hand: systemctl stop keepalived",
      );
    return fail(`this node is ${state.role} now, but ${peer} does not say that it is primary`);
  }
  state.asideUntilMs = monotonicMs() + holdMs;
  tell(`${peer} is primary, this node is ${state.role}; ctsync ready stays false for ${holdMs / 1_000} s more`);
  return succeed({ steps });
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
    node.log.info("the peer hands over: committing ahead");
    const startMs = monotonicMs();
    void node.jobs.add(commitAhead(node)).then((result) => {
      const report = result.ok ? result.value : result.error.value;
      node.state.preparing = false;
      host.preparation.answer({ taken: report?.taken ?? 0, refused: report?.refused ?? 0 });
      const milliseconds = Math.round(monotonicMs() - startMs);
      node.flight.note("handover", `committed ${report?.taken ?? 0} flows ahead`, { a: milliseconds });
    });
  }
}

/** Where the kernel follows the peer, only what waits is left to commit. */
function* commitAhead(node: Node): Job<{ readonly taken: number; readonly refused: number }> {
  const { apply } = node;
  if (apply?.active) {
    const { refused } = yield* apply.drain();
    yield* apply.expectations.drain();
    return succeed({ taken: apply.standing, refused });
  }
  const result = yield* commitAlone(node);
  const report = result.ok ? result.value : result.error.value;
  const value = { taken: (report?.committed ?? 0) + (report?.updated ?? 0), refused: report?.failed ?? 0 };
  return result.ok ? succeed(value) : refuse({ error: result.error.error, value });
}
