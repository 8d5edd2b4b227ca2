/** One commit, batch by batch: the external cache's flows in an order that saves the most first, and what becomes of them. */
import { Errno } from "../../../ffi/errno.ts";
import { CommitPlan, LOOK_ON } from "../../cache/commit-plan.ts";
import { Flow, HAS, HAS_MASTER, HAS_MASTER_PORTS } from "../../flow/flow.ts";
import type { KernelCommit } from "../../kernel/commit.ts";
import { explainRefusal } from "../../kernel/explain-errno.ts";
import type { Replica } from "../../replica.ts";
import type { CommitReport, ExpectationsCommitReport } from "../../report.ts";
import { monotonicMs } from "../clock.ts";
import { timeoutOf } from "../timeout.ts";
import { refusal } from "./refusal.ts";

/** Flows that one batch leaves out at most. */
const PASSED_MAX = 1_000;

/** What a commit needs of a node. */
export interface Committer {
  readonly commit: KernelCommit;
  readonly replica: Pick<Replica, "internal" | "external">;
}

export class CommitRun {
  done = 0;
  readonly #node: Committer;
  readonly #plan: CommitPlan;
  readonly #flow = new Flow();
  readonly #failures = new Map<number, number>();
  /** Related flows whose master is gone: the connection itself may well live on. */
  readonly #orphans: number[] = [];
  readonly #before: { readonly helpersLost: number; readonly labelsLost: number };
  readonly #startMs = monotonicMs();
  readonly #isWanted: (slot: number, flow: Flow) => boolean;
  #standing = 0;
  #failed = 0;
  #adopted = 0;

  /** `isWanted`: what of the external cache is committed; all of it where it is left out. */
  constructor(node: Committer, isWanted: (slot: number, flow: Flow) => boolean = () => true) {
    this.#node = node;
    this.#isWanted = isWanted;
    this.#plan = new CommitPlan(node.replica.external);
    const { helpersLost, labelsLost } = node.commit;
    this.#before = { helpersLost, labelsLost };
    node.commit.start();
  }

  /** Commits as many flows as one batch takes; false when none is left. */
  batch(): boolean {
    const { commit, replica } = this.#node;
    const nowMs = monotonicMs();
    let added = 0;
    let passed = 0;
    while (commit.hasRoom() && passed < PASSED_MAX) {
      const slot = this.#next(nowMs);
      if (slot === LOOK_ON) {
        passed += PASSED_MAX / 4;
        continue;
      }
      if (slot < 0) break;
      if (!this.#isWanted(slot, this.#flow)) {
        passed++;
        continue;
      }
      if (replica.internal.count > 0 && replica.internal.find(this.#flow) >= 0) this.#standing++;
      commit.add(this.#flow, slot, timeoutOf(this.#flow));
      added++;
    }
    const refused = commit.flush();
    for (let i = 0; i < refused; i++) this.#refused(commit.refusedTag(i), commit.refusedErrno(i));
    this.done += added;
    return added > 0 || passed > 0 || this.#orphans.length > 0;
  }

  report(expectations: ExpectationsCommitReport): CommitReport {
    const { commit } = this.#node;
    return {
      committed: this.done - this.#failed - this.#standing,
      updated: this.#standing,
      failed: this.#failed,
      failures: [...this.#failures].map(([errno, count]) => refusal(errno, explainRefusal(errno), count)),
      lessened: [
        { without: "helper", count: commit.helpersLost - this.#before.helpersLost },
        { without: "labels", count: commit.labelsLost - this.#before.labelsLost },
        { without: "master", count: this.#adopted },
      ].filter(({ count }) => count > 0),
      expectations,
      milliseconds: Math.round(monotonicMs() - this.#startMs),
    };
  }

  #next(nowMs: number): number {
    const slot = this.#plan.next(this.#flow, nowMs);
    if (slot !== -1) return slot;
    const { external } = this.#node.replica;
    let orphan = this.#orphans.pop();
    while (orphan !== undefined && !external.isUsed(orphan)) orphan = this.#orphans.pop(); // It ended meanwhile.
    if (orphan === undefined) return -1;
    external.read(orphan, this.#flow, nowMs);
    this.#flow.words[HAS] &= ~(HAS_MASTER | HAS_MASTER_PORTS);
    this.#adopted++;
    this.done--; // It was counted when it was refused.
    return orphan;
  }

  #refused(slot: number, errno: number): void {
    const { external } = this.#node.replica;
    external.read(slot, this.#flow, monotonicMs());
    if (errno === Errno.ENOENT && this.#flow.has(HAS_MASTER) && !this.#tried.has(slot)) {
      this.#tried.add(slot);
      this.#orphans.push(slot);
      return;
    }
    this.#failed++;
    this.#failures.set(errno, (this.#failures.get(errno) ?? 0) + 1);
  }
  readonly #tried = new Set<number>();
}
