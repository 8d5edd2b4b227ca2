/** The kernel's expectations: read into the internal cache after the flows, and written from the external one after them. */
import { Errno } from "../../../ffi/errno.ts";
import type { ExternalExpectations } from "../../cache/external-expectations.ts";
import type { ExpectationCommit } from "../../kernel/expectation-commit.ts";
import { ExpectationDump } from "../../kernel/expectation-dump.ts";
import { explainExpectationRefusal } from "../../kernel/explain-errno.ts";
import type { KernelError } from "../../kernel/kernel-error.ts";
import type { ReplicaExpectations } from "../../replica-expectations.ts";
import type { ExpectationsCommitReport } from "../../report.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { SLICE_MS, type Slice } from "../jobs.ts";
import { refusal } from "./refusal.ts";

/** What one dump lacks may be there: it has ended when a second one lacks it too. */
export function* resyncExpectations(
  expectations: ReplicaExpectations,
): Generator<Slice, Result<void, KernelError>, void> {
  const { internal } = expectations;
  internal.beginPass();
  const first = yield* readExpectations(expectations);
  if (!first.ok || internal.nextUnseen(0) < 0) return first;
  const second = yield* readExpectations(expectations);
  if (!second.ok) return second;
  for (let slot = internal.nextUnseen(0); slot >= 0; slot = internal.nextUnseen(slot + 1)) expectations.ended(slot);
  return second;
}

function* readExpectations(expectations: ReplicaExpectations): Generator<Slice, Result<void, KernelError>, void> {
  const started = ExpectationDump.start();
  if (!started.ok) return started;
  const dump = started.value;
  try {
    while (!dump.done) {
      const portion = dump.next();
      if (!portion.ok) return refuse(portion.error);
      for (const expectation of portion.value) expectations.kernelEntry(expectation, monotonicMs());
      yield portion.value.length > 0 || dump.done ? 0 : 1;
    }
    return succeed(undefined);
  } finally {
    dump.close();
  }
}

/** Those whose time has run out are passed over. */
export function* commitExpectations(
  external: ExternalExpectations,
  commit: ExpectationCommit,
): Generator<Slice, ExpectationsCommitReport, void> {
  const failures = new Map<number, number>();
  const committedBefore = commit.committed;
  let done = 0;
  let slot = external.nextLive(0);
  while (slot >= 0) {
    const sliceEndMs = monotonicMs() + SLICE_MS;
    for (; slot >= 0 && monotonicMs() < sliceEndMs; ) {
      for (; slot >= 0 && commit.hasRoom(); slot = external.nextLive(slot + 1), done++) {
        const expectation = external.read(slot, monotonicMs());
        if (expectation.timeoutSeconds !== 0) commit.add(expectation, slot);
      }
      const refused = commit.flush();
      for (let i = 0; i < refused; i++) {
        const errno = commit.refusedErrno(i);
        failures.set(errno, (failures.get(errno) ?? 0) + 1);
      }
    }
    yield { progress: "committing expectations", done, total: external.count };
  }
  const orphaned = failures.get(Errno.ENOENT) ?? 0;
  failures.delete(Errno.ENOENT);
  return {
    committed: commit.committed - committedBefore,
    failed: [...failures.values()].reduce((sum, count) => sum + count, 0),
    failures: [...failures].map(([errno, count]) => refusal(errno, explainExpectationRefusal(errno), count)),
    orphaned,
  };
}
