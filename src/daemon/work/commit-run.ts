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
import type { FirstFlows } from "./first-flows.ts";
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
  /** Related flows whose master is not there. Once all is in, they are tried again: another flow may lie in such a slot by then. */
  readonly #orphans: number[] = [];
  /** Of this batch: their master will not come, but the connection itself may well live on. */
  readonly #alone: number[] = [];
  #isAllIn = false;
  #isLastTry = false;
  #goesAlone = false;
  readonly #before: { readonly helpersLost: number; readonly labelsLost: number };
  readonly #startMs = monotonicMs();
  readonly #isWanted: (slot: number, flow: Flow) => boolean;
  readonly #first: FirstFlows | undefined;
  #standing = 0;
  #failed = 0;
  #adopted = 0;

  /** `isWanted`: what of the external cache is committed; all of it where it is left out. `first`: what goes before its turn. */
  constructor(node: Committer, isWanted: (slot: number, flow: Flow) => boolean = () => true, first?: FirstFlows) {
    this.#node = node;
    this.#isWanted = isWanted;
    this.#first = first;
    this.#plan = new CommitPlan(node.replica.external);
    const { helpersLost, labelsLost } = node.commit;
    this.#before = { helpersLost, labelsLost };
    node.commit.start();
  }

  /** Commits as many flows as one batch takes; false when none is left. */
  batch(): boolean {
    const { commit } = this.#node;
    const nowMs = monotonicMs();
    let added = this.#addFirst(nowMs);
    let passed = 0;
    this.#isLastTry = this.#isAllIn;
    const waits = this.#first?.isWaiting === true;
    while (!waits && commit.hasRoom() && passed < PASSED_MAX) {
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
      this.#add(slot);
      added++;
    }
    this.done += added;
    this.#flush();
    if (this.#alone.length > 0) this.#withoutMasters(nowMs);
    return waits || added > 0 || passed > 0 || this.#orphans.length > 0;
  }

  report(expectations: ExpectationsCommitReport): CommitReport {
    const { commit } = this.#node;
    return {
      first: this.#first?.taken ?? 0,
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

  /** Those whose packets wait. How many. */
  #addFirst(nowMs: number): number {
    const first = this.#first;
    if (first === undefined) return 0;
    const { commit, replica } = this.#node;
    first.look();
    let added = 0;
    while (commit.hasRoom()) {
      const slot = first.next();
      if (slot < 0) break;
      if (!replica.external.isUsed(slot) || !this.#plan.take(slot)) continue;
      replica.external.read(slot, this.#flow, nowMs);
      this.#add(slot);
      added++;
    }
    first.taken += added;
    return added;
  }

  /** The flow that was read from `slot`. */
  #add(slot: number): void {
    if (this.#stands()) this.#standing++;
    this.#node.commit.add(this.#flow, slot, timeoutOf(this.#flow));
  }

  #next(nowMs: number): number {
    const slot = this.#plan.next(this.#flow, nowMs);
    if (slot !== -1) return slot;
    this.#isAllIn = true;
    if (!this.#isLastTry) return -1;
    const { external } = this.#node.replica;
    let orphan = this.#orphans.pop();
    while (orphan !== undefined && !external.isUsed(orphan)) orphan = this.#orphans.pop(); // It ended meanwhile.
    if (orphan === undefined) return -1;
    external.read(orphan, this.#flow, nowMs);
    return orphan;
  }

  /** Whether this node's own kernel has the flow, as far as is known. */
  #stands(): boolean {
    const { internal } = this.#node.replica;
    const slot = internal.count > 0 ? internal.find(this.#flow) : -1;
    return slot >= 0 && internal.isLive(slot);
  }

  /** How many were refused. */
  #flush(): number {
    const { commit } = this.#node;
    const refused = commit.flush();
    for (let i = 0; i < refused; i++) this.#refused(commit.refusedTag(i), commit.refusedErrno(i));
    return refused;
  }

  /** In the batch that was refused, as their slots may be others' in the next one. */
  #withoutMasters(nowMs: number): void {
    const { replica } = this.#node;
    const slots = this.#alone.splice(0);
    for (const slot of slots) {
      replica.external.read(slot, this.#flow, nowMs);
      this.#flow.words[HAS] &= ~(HAS_MASTER | HAS_MASTER_PORTS);
      this.#add(slot);
    }
    this.done += slots.length;
    this.#goesAlone = true;
    this.#adopted += slots.length - this.#flush();
    this.#goesAlone = false;
  }

  #refused(slot: number, errno: number): void {
    this.#node.replica.external.read(slot, this.#flow, monotonicMs());
    if (this.#stands()) this.#standing--;
    if (errno === Errno.ENOENT && this.#flow.has(HAS_MASTER) && !this.#goesAlone) {
      this.done--;
      this.#node.commit.refused--; // Not for good: it is tried again.
      (this.#isLastTry ? this.#alone : this.#orphans).push(slot);
      return;
    }
    this.#failed++;
    this.#failures.set(errno, (this.#failures.get(errno) ?? 0) + 1);
  }
}
