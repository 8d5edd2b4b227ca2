/**
 * This node's role in the daemon: what the arbiter decides becomes work, the gate shuts and opens with it, and what does
 * not fit is said once. Words come by the notify command and by keepalived's fifo, addresses from the kernel.
 */

import type { OwnAddress } from "../kernel/addresses.ts";
import type { NotifyReport, NotifyRole, ProgressLine, Role } from "../report.ts";
import type { KeepalivedReport } from "../report-roles.ts";
import { type Result, succeed } from "../result.ts";
import type { Session } from "../sync/session.ts";
import { monotonicMs } from "./clock.ts";
import { FifoNames } from "./fifo-names.ts";
import type { Failure, Job } from "./jobs.ts";
import type { Node } from "./node.ts";
import { NotifyFifo } from "./notify-fifo.ts";
import { readiness } from "./readiness.ts";
import { ReignFile } from "./reign-file.ts";
import { type Doubt, RoleArbiter, type Source } from "./role-arbiter.ts";
import { SplitBrain } from "./split-brain.ts";
import { heldOf } from "./virtual-addresses.ts";
import { relaxWindows } from "./work/kernel-table.ts";
import { followNobody } from "./work/live.ts";
import { notify } from "./work/notify.ts";
import { takeOn } from "./work/take-on.ts";

type Outcome = Result<NotifyReport, Failure<NotifyReport>>;
/** How often what has no event is looked at: the peer's role, doubts. */
const LOOK_MS = 500;
/** What a node is told of it knows within this time, or there is no contact. */
const SEEN_MS = 5_000;
/** And contact is found again when it does within this. */
const FOUND_MS = 2_000;
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
  readonly #names: FifoNames;
  #doubt: Doubt | null = null;
  #lookMs = 0;
  /** The other primary's flows are being taken on. */
  #takesOn = false;
  #turnedMs = 0;
  #isInContact = false;
  readonly #reign: ReignFile;

  constructor(node: Node) {
    const { notifyFifo, takeoverByAddress, instance } = node.config.keepalived;
    this.#node = node;
    this.#reign = new ReignFile(node.config.control.socket, node.log);
    this.#names = new FifoNames(instance);
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

  /**
   * A command long after the takeover, and flows of the peer that are not in the kernel: of two primaries one has died. Where there are
   * claims to tell what of it lives, that is taken on, and no more.
   */
  #leftToTake(role: NotifyRole, nowMs: number): boolean {
    const { state, replica } = this.#node;
    const sinceMs = state.lastRoleChange?.role === "master" ? nowMs - state.lastRoleChange.atMs : 0;
    const isLeft = role === "master" && sinceMs >= AGAIN_MS && replica.external.count > 0;
    if (isLeft && replica.ownership.active) replica.ownership.wantsTakingOn = true;
    return isLeft && !replica.ownership.active;
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
    this.#resume();
    const { virtual, log, gate } = this.#node;
    if (this.#arbiter.role === "master") {
      log.info("the virtual addresses are here already: this node is primary");
      followNobody(this.#node);
    } else if (virtual.length > 0 && this.#held === 0) gate.guard(nowMs);
    this.readFifo(nowMs);
  }

  /** The daemon before this one may have been killed amid a reign. Whoever lacks the addresses is primary no more. */
  #resume(): void {
    const { virtual, log, replica } = this.#node;
    if (!replica.ownership.active) return;
    const kept = this.#reign.read();
    if (kept !== null && (virtual.length === 0 || this.#arbiter.role === "master")) {
      replica.ownership.resume(kept);
      log.info(`goes on with reign ${replica.ownership.reigning.number}, which a daemon before this one began`);
    } else this.#reign.clear();
    this.#keepReign();
  }

  #keepReign(): void {
    const { state, replica } = this.#node;
    if (!replica.ownership.active) return;
    const mayReign = state.role === "master" || state.role === "unknown";
    this.#reign.keep(mayReign ? replica.ownership.reigning.kept : null);
  }

  readFifo(nowMs: number): void {
    for (const word of this.fifo?.read(nowMs) ?? []) {
      if (!this.#names.take(word, nowMs)) continue;
      void this.say("fifo", word.role).catch(() => {}); // It is logged where the work was begun.
    }
  }

  get dueMs(): number {
    const { gate } = this.#node;
    return Math.min(this.#lookMs, this.#arbiter.dueMs, gate.dueMs, this.fifo?.dueMs ?? Number.POSITIVE_INFINITY);
  }

  tick(nowMs: number): void {
    if (this.#split.isDouble && this.#peerRole() !== "master") this.#lookMs = 0;
    if (this.#node.replica.ownership.wantsTakingOn) this.#takeOn();
    this.#keepReign();
    if (nowMs < this.dueMs) return;
    if (this.fifo !== undefined && nowMs >= this.fifo.dueMs) this.readFifo(nowMs);
    if (nowMs >= this.#arbiter.dueMs) this.#advance(nowMs, "the virtual addresses are gone");
    this.#tickGate(nowMs);
    if (nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    this.#lookAtPeer(nowMs);
    this.#lookAtDoubt(nowMs);
  }

  #tickGate(nowMs: number): void {
    const { gate, state, flight } = this.#node;
    const wasShut = gate.isShut;
    gate.tick(this.#isLive(nowMs), nowMs);
    if (wasShut && !gate.isShut && state.role === "master") flight.note("gate", "opened by its watchdog");
    gate.mute(this.#hasPeer(nowMs), nowMs);
  }

  report(): KeepalivedReport {
    const { fifo } = this;
    return {
      fifo: fifo === undefined ? null : fifo.isOpen,
      fifoHasWriter: fifo?.hasWriter ?? false,
      fifoWords: fifo?.words ?? 0,
      fifoSkipped: this.#names.skipped + (fifo?.skipped ?? 0),
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
    state.turns++;
    state.role = role;
    replica.role = role;
    if (role === "master") {
      state.yieldedBefore = replica.counters.cache.yielded;
      this.#node.priority.takeover();
      gate.take(nowMs);
      if (gate.isShut) this.#node.flight.note("gate", "closed");
    } else {
      state.windowsDue = true;
      gate.guard(nowMs);
    }
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

  #hasPeer(nowMs: number): boolean {
    return this.#node.replica.sessions.some((session) => session.peerState(nowMs) === "connected");
  }

  #lookAtPeer(nowMs: number): void {
    const { state, log, flight } = this.#node;
    const isHeard = this.#hasPeer(nowMs);
    const sinceMs = this.#split.sinceMs;
    const event = this.#split.look(state.role, isHeard ? this.#peerRole() : "unknown", nowMs);
    this.#keepSeen(nowMs);
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
    if (state.role === "master") this.#relax();
    // Nobody else has the connections of a peer that died of it. One that steps down says so: `wantsTakingOn`.
    if (state.role === "master" && !isHeard) this.#takeOn();
    if (event === "passed") return;
    const seconds = Math.round((nowMs - (sinceMs ?? nowMs)) / 1_000);
    const now = isHeard ? `${state.role === "master" ? "this node" : "the peer"} is master` : "the peer is silent";
    log.warning(`split brain is over after ${seconds} s: ${now}`);
  }

  /** What was seen here last of flows that left us is kept until the peer knows, which it does not while neither hears the other. */
  #keepSeen(nowMs: number): void {
    const { sessions, ownership } = this.#node.replica;
    // What was on its way when contact was lost is known, or sent again, before there is any.
    const boundMs = this.#isInContact ? SEEN_MS : FOUND_MS;
    const knows = (session: Session): boolean =>
      session.peerState(nowMs) === "connected" && session.lagMs(nowMs) < boundMs;
    this.#isInContact = sessions.every(knows);
    ownership.inContact(
      this.#isInContact,
      sessions.some((session) => session.peerState(nowMs) === "silent"),
    );
    if (!this.#isInContact || this.#takesOn) this.#turnedMs = nowMs;
    if (nowMs - this.#turnedMs < SEEN_MS) return;
    this.#turnedMs = nowMs;
    ownership.turn();
  }

  /** Packets of the flows that stand here may have gone the other way. */
  #relax(): void {
    void this.#node.jobs.add(relaxWindows(this.#node)).then((result) => {
      if (!result.ok) this.#node.log.warning(`split brain: ${result.error.error}`);
    });
  }

  #takeOn(): void {
    const { jobs, log, replica } = this.#node;
    if (this.#takesOn) return;
    replica.ownership.wantsTakingOn = false;
    this.#takesOn = true;
    this.#relax(); // A split that a cut link hid is known by its end alone.
    void jobs.add(takeOn(this.#node)).then((result) => {
      this.#takesOn = false;
      replica.ownership.tookOn();
      const taken = result.ok ? result.value : result.error.value;
      if (taken !== undefined) log.info(`flows of the other primary that were taken on: ${taken.flows}`);
      if (!result.ok) log.warning(`flows of the other primary: ${result.error.error}`);
    });
  }

  #lookAtDoubt(nowMs: number): void {
    const misnamed = this.#names.warning(nowMs);
    if (misnamed !== undefined) this.#node.log.warning(misnamed);
    const doubt = this.#arbiter.doubt(nowMs);
    if (doubt === this.#doubt) return;
    this.#doubt = doubt;
    if (doubt !== null) this.#node.log.warning(`${DOUBTS[doubt]} (role ${this.#arbiter.role})`);
  }
}

const nothingDone = (role: NotifyRole): Outcome => succeed({ role, steps: [] });
