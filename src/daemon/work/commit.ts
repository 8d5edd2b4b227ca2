/** Commit: the external cache's flows become entries of the kernel, a batch a turn, what matters most first. */
import type { CommitReport } from "../../report.ts";
import { refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { type Job, SLICE_MS } from "../jobs.ts";
import type { Node } from "../node.ts";
import { CommitRun } from "./commit-run.ts";
import { commitExpectations } from "./expectations.ts";
import { FirstFlows } from "./first-flows.ts";
import { resync } from "./resync.ts";

/** From so many flows on the kernel is spared the events of new flows while we commit. */
const MANY_FLOWS = 1_000;

/** Commits, then reads the kernel's table: what stands in it now is ours to tell the peers of. */
export function* commitAlone(node: Node): Job<CommitReport> {
  const result = yield* commit(node);
  node.gate.pass("the commit is done", monotonicMs());
  rereadAfter(node);
  return result;
}

export function rereadAfter(node: Node): void {
  void node.jobs.addIdle(resync(node)).then((reread) => {
    if (!reread.ok) node.log.warning(`after the commit: ${reread.error.error}`);
  });
}

/**
 * Whoever calls this for all flows reads the kernel's table afterwards: flows that begin meanwhile may go unreported until then.
 * `isWanted`: few are committed, those that it says.
 */
export function* commit(node: Node, isWanted?: (slot: number) => boolean): Job<CommitReport> {
  const first = isWanted === undefined ? firstFlows(node) : undefined;
  const run = new CommitRun(node, isWanted, first);
  const { external } = node.replica;
  const total = isWanted === undefined ? external.count : external.toldSince;
  const many = isWanted === undefined && total >= MANY_FLOWS;
  node.replica.ownership.kernelWritten();
  node.flight.note("commit-begin", "", { a: total });
  if (many) node.events.hearNew(false);
  try {
    for (;;) {
      const sliceEndMs = monotonicMs() + SLICE_MS;
      let more = true;
      while (more && monotonicMs() < sliceEndMs) more = run.batch();
      if (!more) break;
      yield { progress: "committing", done: run.done, total };
    }
  } finally {
    if (many) node.events.hearNew(true);
    node.replica.ownership.kernelWritten();
  }
  const expectations = yield* commitExpectations(node.replica.expectations.external, node.expectationCommit);
  const report = run.report(expectations);
  node.gate.takenFirst += report.first;
  // A second word of keepalived's, which finds nothing left to commit, tells nothing of what is missing.
  if (total > 0) node.state.lastCommit = { report, atMs: monotonicMs() };
  noteEnd(node, report);
  const failures: string[] = [];
  if (report.failed > 0) failures.push(`${report.failed} of ${total} flows`);
  if (expectations.failed > 0)
    failures.push(expectations.failed === 1 ? "1 expectation" : `${expectations.failed} expectations`);
  if (failures.length === 0) return succeed(report);
  return refuse({ error: `${failures.join(" and ")} could not be committed`, value: report });
}

/** Nobody's packets wait where the gate is open, or does not see what it holds. */
export function firstFlows({ gate, replica }: Node): FirstFlows | undefined {
  return gate.heldTuples === undefined ? undefined : new FirstFlows(gate.heldTuples, replica.external);
}

function noteEnd({ flight, watch }: Node, report: CommitReport): void {
  const { committed: a, updated: b, failed: c, milliseconds: d } = report;
  flight.note("commit-end", "", { a, b, c, d });
  const failures = [...report.failures, ...report.expectations.failures];
  for (const { errno, reason, count } of failures) flight.note("refused", `${errno}: ${reason}`, { a: count });
  for (const { without, count } of report.lessened) flight.note("lessened", `without ${without}`, { a: count });
  watch.committed();
}
