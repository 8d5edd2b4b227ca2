/**
 * What keepalived's word means for us, step by step. Every step is tried whatever became of those before it: a takeover
 * that fails in part must still save what it can.
 */

import type { Live } from "../../replica-live.ts";
import type { CommitReport, NotifyReport, NotifyRole, NotifyStep } from "../../report.ts";
import type { AdoptReport } from "../../report-apply.ts";
import { refuse, succeed } from "../../result.ts";
import type { Apply } from "../apply.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { commit } from "./commit.ts";
import { flushCommitted } from "./flush.ts";
import { relaxOwnWindows, resetTimers, restoreTimers } from "./kernel-table.ts";
import { adopt, drain, takeRole } from "./live.ts";
import { bulk, goneFrom, request } from "./peers.ts";
import { resync } from "./resync.ts";

const BROKEN_OFF = "broken off, as this node takes over";

/** `why` goes into the log. */
export function* notify(node: Node, role: NotifyRole, why: string): Job<NotifyReport> {
  const startMs = monotonicMs();
  const word = ++node.state.words;
  node.log.info(why.includes(role) ? why : `${role}: ${why}`);
  const steps: NotifyStep[] = [];
  // If the word of a takeover comes amid a step-down, what windows are left are that one's to relax; all else is broken off.
  if (node.state.windowsDue) steps.push(...(yield* windowsSteps(node, role)));
  if (role === "master" || !takesOver(node)) {
    takeRole(node, role);
    steps.push(...(yield* work(node, role, word)));
  }
  const failed = steps.filter(({ ok }) => !ok);
  const milliseconds = Math.round(monotonicMs() - startMs);
  if (node.state.words === word)
    node.state.lastRoleChange = { role, ok: failed.length === 0, milliseconds, atMs: monotonicMs() };
  node.flight.note("role-done", role, { a: milliseconds, b: failed.length === 0 ? 1 : 0 });
  const report = { role, steps };
  if (failed.length === 0) return succeed(report);
  return refuse({ error: failed.map(({ step, text }) => `${step}: ${text}`).join("; "), value: report });
}

const work = (node: Node, role: NotifyRole, word: number): Generator<Slice, NotifyStep[], void> =>
  role === "master" ? toMaster(node) : role === "backup" ? toBackup(node, word) : stepDown(node, role);

/** keepalived has said so; the job that does it waits behind this one. */
const takesOver = ({ state }: Node): boolean => state.role === "master";

/** Until a takeover is due, which waits for nothing of a step-down, nor of the takeover before it: undefined then. */
function* untilTakeover<T>(
  node: Node,
  step: Generator<Slice, T, void>,
  isDue = takesOver,
): Generator<Slice, T | undefined, void> {
  try {
    while (!isDue(node)) {
      const slice = step.next();
      if (slice.done) return slice.value;
      yield slice.value;
    }
    return undefined;
  } finally {
    step.return(undefined as T);
  }
}

/** What other firewalls pass from now on, or did, is not to be INVALID here. Nothing to do is no step. */
function* windowsSteps(node: Node, role: NotifyRole): Generator<Slice, NotifyStep[], void> {
  if (node.replica.internal.nextStrict(0) < 0) {
    node.state.windowsDue = false;
    return [];
  }
  const text = ({ relaxed }: { readonly relaxed: number }): string =>
    `the windows of ${relaxed === 1 ? "1 TCP flow" : `${relaxed} TCP flows`} are checked no more`;
  const relaxing = stepOf("relax-windows", relaxOwnWindows(node), text);
  const step = yield* role === "master" ? relaxing : untilTakeover(node, relaxing);
  if (step === undefined) return [];
  node.state.windowsDue = false;
  return [logged(node, role, step)];
}

function* toMaster(node: Node): Generator<Slice, NotifyStep[], void> {
  const { apply } = node;
  const { live } = node.replica;
  node.state.committedAheadMs = Number.NEGATIVE_INFINITY;
  if (apply !== undefined && live !== undefined) return yield* toLiveMaster(node, apply, live);
  const steps: NotifyStep[] = [];
  const tell = (step: NotifyStep): void => void steps.push(logged(node, "master", step));
  node.replica.external.beginTakeover();
  node.replica.expectations.external.beginTakeover();
  const { turns } = node.state;
  tell(yield* stepOf("commit", commit(node), committedText));
  pass(node);
  tell(yield* stepOf("flush", flushCommitted(node), (done) => `${flows(done.removed)} left the external cache`));
  // Primary again before a peer took over from us, or while none is there: what we shortened is nobody else's to restore.
  if (node.state.timersShortened) tell(yield* restoreStep(node));
  // A role that comes and goes and comes again commits once more, and reads all that this would.
  const comesAgain = ({ state }: Node): boolean => takesOver(node) && state.turns !== turns;
  const read = stepOf("resync", resync(node, true), (done) => `read ${flows(done.read)} from the kernel`);
  const step = yield* untilTakeover(node, read, comesAgain);
  tell(step ?? { step: "resync", ok: true, text: BROKEN_OFF, milliseconds: 0 });
  if (step !== undefined) tell(yield* bulkStep(node));
  return steps;
}

function pass({ gate, flight }: Node): void {
  const held = gate.isShut;
  gate.pass("the commit is done", monotonicMs());
  if (held) flight.note("gate", "opened");
}

/** The kernel followed the peer: what it has becomes this node's own. The peer hears of each flow as it does. */
function* toLiveMaster(node: Node, apply: Apply, live: Live): Generator<Slice, NotifyStep[], void> {
  const steps: NotifyStep[] = [];
  const tell = (step: NotifyStep): void => void steps.push(logged(node, "master", step));
  tell(yield* stepOf("apply", drain(node, apply), (done) => `applied the last ${flows(done.applied)}`));
  pass(node);
  // Before the kernel's table is read, whose timers are not to be believed.
  if (node.state.timersShortened) tell(yield* restoreStep(node));
  const adopted = (done: AdoptReport): string =>
    `${flows(done.adopted)} became ours, ${done.missing} were still to be committed`;
  tell(yield* stepOf("adopt", adopt(node, apply, live), adopted));
  return steps;
}

const restoreStep = (node: Node) =>
  stepOf("restore-timers", restoreTimers(node), (done) => `restored the timers of ${flows(done.restored)}`);

/**
 * A primary often takes over because its peer is dead: then nobody is there to be told, and that is no failure. keepalived's
 * script does not wait until the peer counts as silent; it is sent everything when it returns.
 */
function* bulkStep(node: Node): Generator<Slice, NotifyStep, void> {
  const step = yield* stepOf("bulk", bulk(node, goneFrom(node)), (done) => `sent ${flows(done.sent)}`);
  return { ...step, ok: true };
}

function* toBackup(node: Node, word: number): Generator<Slice, NotifyStep[], void> {
  const timers = yield* stepDown(node, "backup");
  if (takesOver(node)) return timers;
  const asked = yield* stepOf("request", request(node), (done) => `received ${flows(done.received)}`);
  // The peer's flows bring their timeouts along. A takeover that passed meanwhile found them missing, and restores them itself.
  if (asked.ok && node.state.words === word) node.state.timersShortened = false;
  return [...timers, logged(node, "backup", asked)];
}

/** Before timers are shortened: what the peer has named already is its own, and keeps them. */
function* stepDown(node: Node, role: NotifyRole): Generator<Slice, NotifyStep[], void> {
  const startMs = monotonicMs();
  const { apply } = node;
  if (apply !== undefined) yield* untilTakeover(node, apply.look());
  const timers = yield* untilTakeover(node, timersStep(node));
  if (timers !== undefined) return [logged(node, role, timers)];
  const milliseconds = Math.round(monotonicMs() - startMs);
  return [logged(node, role, { step: "reset-timers", ok: true, text: BROKEN_OFF, milliseconds })];
}

function committedText({ committed, updated, first, expectations }: CommitReport): string {
  const expected = expectations.committed;
  const more = expected === 0 ? "" : ` and ${expected === 1 ? "1 expectation" : `${expected} expectations`}`;
  return `committed ${flows(committed + updated)}${firstText(first)}${more}`;
}

const firstText = (first: number): string => (first === 0 ? "" : `, ${first} of them first, as their packets waited,`);

const flows = (count: number): string => (count === 1 ? "1 flow" : `${count} flows`);

/** Each step is logged when it is done: the last one of a takeover may wait for a dead peer. */
function logged(node: Node, role: NotifyRole, done: NotifyStep): NotifyStep {
  const { step, ok, text, milliseconds } = done;
  node.flight.note("step", `${step}: ${text}`, { a: milliseconds, b: ok ? 1 : 0 });
  node.log[ok ? "info" : "warning"](`${role}: ${step}: ${text} (${milliseconds} ms)`);
  return done;
}

const timersStep = (node: Node) =>
  stepOf("reset-timers", resetTimers(node), (done) => `shortened ${done.shortened} timers to ${done.seconds} s`);

function* stepOf<T>(
  step: NotifyStep["step"],
  job: Job<T>,
  say: (value: T) => string,
): Generator<Slice, NotifyStep, void> {
  const startMs = monotonicMs();
  const result = yield* job;
  const milliseconds = Math.round(monotonicMs() - startMs);
  if (result.ok) return { step, ok: true, text: say(result.value), milliseconds };
  const done = result.error.value === undefined ? "" : ` (${say(result.error.value)})`;
  return { step, ok: false, text: `${result.error.error}${done}`, milliseconds };
}
