/** The kernel's expectations: read into the internal cache after the flows, and written from the external one after them. */
import { Errno } from "../../../ffi/errno.ts";
import type { ExternalExpectations } from "../../cache/external-expectations.ts";
import type { DumpAge } from "../../cache/recent-events.ts";
import type { Expectation } from "../../flow/expectation.ts";
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

/** Where a dump comes from, portion by portion. */
export type StartDump = () => Result<Pick<ExpectationDump, "done" | "next" | "close">, KernelError>;

/** So many dumps at most; those after the second are for entries that an event has overtaken, or seemed to. */
const LOOKS_MAX = 5;

/**
 * Reads the kernel's expectations into the internal cache. What one dump lacks may be there: it has ended when a second one
 * lacks it too. An entry that an event has overtaken is left to the event, which says all there is to say (D-023).
 */
export function* resyncExpectations(
  expectations: ReplicaExpectations,
  start: StartDump = ExpectationDump.start,
): Generator<Slice, Result<void, KernelError>, void> {
  const { internal, recentEvents } = expectations;
  const age = recentEvents.read();
  internal.beginPass();
  const { pass } = internal;
  let overtaken = 0;
  const take = (expectation: Expectation): void => {
    if (internal.pass !== pass) return;
    if (!expectations.isOvertaken(expectation, age)) expectations.kernelEntry(expectation, monotonicMs());
    else {
      overtaken++;
      expectations.kernelHas(expectation);
    }
  };
  try {
    for (let look = 1; look <= LOOKS_MAX; look++) {
      overtaken = 0;
      const read = yield* eachExpectation(start, age, take);
      if (!read.ok) return read;
      if (internal.pass !== pass) return succeed(undefined); // Another reread began meanwhile, and does the work.
      if (overtaken === 0 && (look > 1 || internal.nextUnseen(0) < 0)) break;
    }
    for (let slot = internal.nextUnseen(0); slot >= 0; slot = internal.nextUnseen(slot + 1)) expectations.ended(slot);
    return succeed(undefined);
  } finally {
    age.close();
  }
}

/** Calls `visit` for each entry of a dump; `age` then knows how old that entry is. */
export function* eachExpectation(
  start: StartDump,
  age: DumpAge,
  visit: (expectation: Expectation) => void,
): Generator<Slice, Result<void, KernelError>, void> {
  age.started();
  const started = start();
  if (!started.ok) return started;
  const dump = started.value;
  try {
    while (!dump.done) {
      const portion = dump.next();
      if (!portion.ok) return refuse(portion.error);
      const isEmpty = portion.value.length === 0 && !dump.done;
      if (!isEmpty) age.received();
      for (const expectation of portion.value) visit(expectation);
      yield isEmpty ? 1 : 0;
    }
    return succeed(undefined);
  } finally {
    dump.close();
  }
}

/** Those whose time has run out are passed over, and those that are not wanted. */
export function* commitExpectations(
  external: ExternalExpectations,
  commit: ExpectationCommit,
  isWanted: (expectation: Expectation) => boolean = () => true,
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
        if (expectation.timeoutSeconds !== 0 && isWanted(expectation)) commit.add(expectation, slot);
      }
      const refused = commit.flush();
      for (let i = 0; i < refused; i++) {
        const errno = commit.refusedErrno(i);
        failures.set(errno, (failures.get(errno) ?? 0) + 1);
      }
    }
    yield { progress: "committing expectations", done, total: external.count };
    if (slot >= 0) slot = external.nextLive(slot); // The peer goes on: the next one may be gone.
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
