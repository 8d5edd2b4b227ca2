/**
 * This node's role in the daemon: what the arbiter decides becomes work, the gate shuts and opens with it, and what does
 * not fit is said once. Words come by the notify command and by keepalived's fifo, addresses from the kernel.
 */

import type { OwnAddress } from "../kernel/addresses.ts";
import type { KeepalivedReport, NotifyReport, NotifyRole, ProgressLine, Role } from "../report.ts";
import { type Result, succeed } from "../result.ts";
import { monotonicMs } from "./clock.ts";
import type { Failure, Job } from "./jobs.ts";
import type { Node } from "./node.ts";
import { NotifyFifo } from "./notify-fifo.ts";
import { readiness } from "./readiness.ts";
import { type Doubt, RoleArbiter, type Source } from "./role-arbiter.ts";
import { SplitBrain } from "./split-brain.ts";
import { heldOf } from "./virtual-addresses.ts";
import { commitMissing } from "./work/commit.ts";
import { relaxWindows } from "./work/kernel-table.ts";
import { followNobody } from "./work/live.ts";
import { notify } from "./work/notify.ts";

type Outcome = Result<NotifyReport, Failure<NotifyReport>>;
/** How often what has no event is looked at: the peer's role, doubts. */
const LOOK_MS = 500;
/** A second primary is seen as one within this time. */
const ENDED_MS = 5_000;
/** A notify command that comes so long after a takeover is no repetition of the word that began it. */
const AGAIN_MS = 1_000;

const DOUBTS: Readonly<Record<Doubt, string>> = {
  "master-without-address": "the role is master, but none of the virtual addresses is held here",
  "address-without-master": "the virtual addresses are held here, but the role is another one",
  "no-word": "the virtual addresses say which role this is; keepalived has not said so",
};

interface Work {
  readonly role: NotifyRole;
  begun: boolean;
  readonly outcome: Promise<Outcome>;
}

interface Waiter {
  readonly role: NotifyRole;
  readonly progress: (line: ProgressLine) => void;
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void;
}

export class Roles {
  readonly fifo: NotifyFifo | undefined;
  readonly #node: Node;
  readonly #arbiter: RoleArbiter;
  readonly #split = new SplitBrain();
  /** Those who said a word whose work has not begun. */
  #waiters: Waiter[] = [];
  #work: Work | undefined;
  #why = "";
  #held = 0;
  #echoes = 0;
  #skipped = 0;
  #doubt: Doubt | null = null;
  #lookMs = 0;
  /** The other primary's flows are being committed. */
  #takesOn = false;
  #turnedMs = 0;

  constructor(node: Node) {
    const { notifyFifo, takeoverByAddress } = node.config.keepalived;
    this.#node = node;
    this.#arbiter = new RoleArbiter({ takeByAddress: takeoverByAddress });
    if (notifyFifo !== "") this.fifo = new NotifyFifo(notifyFifo, node.log);
  }

  /** Somebody says a role. The answer comes when its work is done, whoever said it first. */
  say(source: Source, role: NotifyRole, progress: Waiter["progress"] = () => {}): Promise<Outcome> {
    const nowMs = monotonicMs();
    const heard = this.#arbiter.word(source, role, nowMs, source === "notify" && this.#leftToTake(role, nowMs));
    if (heard === "echo") {
      this.#echoes++;
      this.#node.log.info(`notify ${role}: the fifo has said so before, and ${this.#arbiter.role} since`);
      return Promise.resolve(nothingDone(role));
    }
    return new Promise((resolve) => {
      this.#waiters.push({ role, progress, resolve });
      this.#advance(nowMs, `keepalived says ${role}`);
    });
  }

  /** A command long after the takeover, and flows of the peer that are not in the kernel: of two primaries one has died. */
  #leftToTake(role: NotifyRole, nowMs: number): boolean {
    const { state, replica } = this.#node;
    const sinceMs = state.lastRoleChange?.role === "master" ? nowMs - state.lastRoleChange.atMs : 0;
    return role === "master" && sinceMs >= AGAIN_MS && replica.external.count > 0;
  }

  /** The machine's own addresses, at the start and whenever they change; undefined: nobody knows. */
  addresses(own: readonly OwnAddress[] | undefined): void {
    if (own === undefined) return;
    const { virtual } = this.#node;
    const before = this.#held;
    this.#held = heldOf(virtual, own);
    this.#arbiter.addresses(this.#held, virtual.length, monotonicMs());
    if (before !== this.#held) this.#node.log.info(`holds ${this.#held} of ${virtual.length} virtual addresses`);
    this.#advance(monotonicMs(), "the virtual addresses are here");
  }

  /** A node that does not hold them at its start is not primary, though nobody has said so yet. */
  begin(own: readonly OwnAddress[] | undefined, nowMs: number): void {
    this.addresses(own);
    const { virtual, log, gate } = this.#node;
    if (this.#arbiter.role === "master") {
      log.info("the virtual addresses are here already: this node is primary");
      followNobody(this.#node);
    } else if (virtual.length > 0 && this.#held === 0) gate.guard(nowMs);
    this.readFifo(nowMs);
  }

  readFifo(nowMs: number): void {
    const { instance } = this.#node.config.keepalived;
    for (const word of this.fifo?.read(nowMs) ?? []) {
      if (instance !== "" && word.name !== instance) this.#skipped++;
      else void this.say("fifo", word.role).catch(() => {}); // It is logged where the work was begun.
    }
  }

  get dueMs(): number {
    const { gate } = this.#node;
    return Math.min(this.#lookMs, this.#arbiter.dueMs, gate.dueMs, this.fifo?.dueMs ?? Number.POSITIVE_INFINITY);
  }

  tick(nowMs: number): void {
    if (this.#split.isDouble && this.#peerRole() !== "master") this.#lookMs = 0;
    if (nowMs < this.dueMs) return;
    if (this.fifo !== undefined && nowMs >= this.fifo.dueMs) this.readFifo(nowMs);
    if (nowMs >= this.#arbiter.dueMs) this.#advance(nowMs, "the virtual addresses are gone");
    this.#node.gate.tick(this.#isLive(nowMs), nowMs);
    if (nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    this.#lookAtPeer(nowMs);
    this.#lookAtDoubt(nowMs);
  }

  report(): KeepalivedReport {
    const { fifo } = this;
    return {
      fifo: fifo === undefined ? null : fifo.isOpen,
      fifoWords: fifo?.words ?? 0,
      fifoSkipped: this.#skipped + (fifo?.skipped ?? 0),
      echoes: this.#echoes,
      addressesHeld: this.#held,
      addresses: this.#node.virtual.length,
      doubt: this.#doubt === null ? null : DOUBTS[this.#doubt],
      peerRole: this.#peerRole(),
    };
  }

  /** Milliseconds for which both nodes have been primary; null: they are not. */
  splitMs(nowMs: number): number | null {
    return this.#split.sinceMs === null ? null : nowMs - this.#split.sinceMs;
  }

  close(): void {
    this.fifo?.close();
  }

  /** Lets the role take effect, and begins the work that is due. */
  #advance(nowMs: number, why: string): void {
    if (this.#takeEffect(nowMs)) this.#why = why;
    const role = this.#arbiter.next(nowMs);
    if (this.#takeEffect(nowMs)) this.#why = why;
    if (role !== undefined) this.#begin(role, this.#why);
    this.#answer();
  }

  /** True when it is another one. */
  #takeEffect(nowMs: number): boolean {
    const { state, gate, replica } = this.#node;
    const { role } = this.#arbiter;
    if (role === "unknown" || role === state.role) return false;
    this.#node.watch.spoken(role, state.role);
    if (role === "master") state.asideUntilMs = Number.NEGATIVE_INFINITY; // The handover before is over.
    state.role = role;
    replica.role = role;
    if (role === "master") {
      gate.take(nowMs);
      if (gate.isShut) this.#node.flight.note("gate", "closed");
    } else gate.guard(nowMs);
    this.#node.gate.tick(this.#isLive(nowMs), nowMs);
    return true;
  }

  #begin(role: NotifyRole, why: string): void {
    if (this.#work?.role === role && !this.#work.begun) return; // It has not begun: what came since is in it.
    const progress = (line: ProgressLine): void => {
      for (const tell of listeners) tell(line);
    };
    const listeners = this.#waiters.filter((waiter) => waiter.role === role).map((waiter) => waiter.progress);
    const job = this.#job(role, why, () => {
      work.begun = true;
    });
    const work: Work = { role, begun: false, outcome: this.#node.jobs.add(job, progress) };
    this.#work = work;
    work.outcome.then(
      (outcome) => this.#arbiter.finished(role, outcome.ok),
      (error) => {
        this.#arbiter.finished(role, false);
        this.#node.log.error(`internal error in notify: ${error instanceof Error ? error.stack : error}`);
      },
    );
  }

  *#job(role: NotifyRole, why: string, begun: () => void): Job<NotifyReport> {
    begun();
    if (role !== this.#arbiter.role) return nothingDone(role);
    return yield* notify(this.#node, role, why);
  }

  /** Whoever waits for work that is begun, or that is not to be done any more, has its answer there. */
  #answer(): void {
    const pending = this.#arbiter.pending;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.role === pending) still.push(waiter);
      else waiter.resolve(this.#work?.role === waiter.role ? this.#work.outcome : nothingDone(waiter.role));
    }
    this.#waiters = still;
  }

  /** The kernel's table is kept current and complete: a takeover finds its flows there. */
  #isLive(nowMs: number): boolean {
    const queue = this.#node.replica.live?.queue;
    return queue?.active === true && queue.failing === 0 && readiness(this.#node, nowMs).ready;
  }

  #peerRole(): Role {
    const { sessions } = this.#node.replica;
    return sessions.find((session) => session.peerRole === "master")?.peerRole ?? sessions[0].peerRole;
  }

  #lookAtPeer(nowMs: number): void {
    const { state, log, replica, flight } = this.#node;
    const isHeard = replica.sessions.some((session) => session.peerState(nowMs) === "connected");
    const sinceMs = this.#split.sinceMs;
    const event = this.#split.look(state.role, isHeard ? this.#peerRole() : "unknown", nowMs);
    if (!this.#split.isDouble && !this.#takesOn && nowMs - this.#turnedMs >= ENDED_MS) {
      this.#turnedMs = nowMs;
      replica.endedFlows.turn();
    }
    if (event === "none") return;
    if (event === "began") {
      flight.note("split-brain", "begins");
      log.error(
        "split brain: the peer says that it is master, and so is this node. Look why the two keepaliveds do not hear " +
          "each other; new connections may break until one of them steps down",
      );
      this.#relax();
      return;
    }
    if (event !== "passed") flight.note("split-brain", "ends");
    // Nobody else has the connections of a peer that died of it. One that stepped down goes on announcing what ended here
    // meanwhile, as it stands in its kernel: taken on, it would stay in ours for as long as its timers say.
    if (state.role === "master" && isHeard) this.#relax();
    else if (state.role === "master") this.#takeOn();
    if (event === "passed") return;
    const seconds = Math.round((nowMs - (sinceMs ?? nowMs)) / 1_000);
    const now = isHeard ? `${state.role === "master" ? "this node" : "the peer"} is master` : "the peer is silent";
    log.warning(`split brain is over after ${seconds} s: ${now}`);
  }

  /** Packets of the flows that stand here may have gone the other way. */
  #relax(): void {
    void this.#node.jobs.add(relaxWindows(this.#node)).then((result) => {
      if (!result.ok) this.#node.log.warning(`split brain: ${result.error.error}`);
    });
  }

  #takeOn(): void {
    const { jobs, log } = this.#node;
    this.#relax();
    // What the other one let in meanwhile, or saw move last; what our kernel has seen last stays as it is.
    this.#takesOn = true;
    void jobs.add(commitMissing(this.#node)).then((result) => {
      this.#takesOn = false;
      if (result.ok) log.info(`split brain: flows of the other node that were taken on: ${result.value.committed}`);
      else log.warning(`split brain: ${result.error.error}`);
    });
  }

  #lookAtDoubt(nowMs: number): void {
    const doubt = this.#arbiter.doubt(nowMs);
    if (doubt === this.#doubt) return;
    this.#doubt = doubt;
    if (doubt !== null) this.#node.log.warning(`${DOUBTS[doubt]} (role ${this.#arbiter.role})`);
  }
}

const nothingDone = (role: NotifyRole): Outcome => succeed({ role, steps: [] });
