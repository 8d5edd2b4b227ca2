/**
 * The jobs of a node's daemon, as those of src/daemon/work: a reread of the kernel's table, a takeover, and taking on what a
 * second primary let in. One at a time, a slice a turn.
 */
import { Flow } from "../../src/flow/flow.ts";
import type { Replica } from "../../src/replica.ts";
import type { Code } from "./code.ts";
import { idOf } from "./digest.ts";
import type { Kernel } from "./kernel.ts";
import type { Clock } from "./node.ts";

const NEVER = Number.POSITIVE_INFINITY;
/** A job does as much as this between two looks at everything else. */
const FLOWS_PER_SLICE = 16;
const WANTED_MS = 250;

type Job = Generator<undefined, void>;

export class Work {
  /** When the kernel was last read, whatever for; never, while it is being read. */
  readMs = NEVER;
  /** When the external cache was last emptied. */
  flushedMs = 0;
  /** How often it took on what a second primary had let in, and whether it does now. */
  tookOn = 0;
  takesOn = false;
  readonly #kernel: Kernel;
  readonly #code: Code;
  readonly #clock: Clock;
  readonly #flow = new Flow();
  #replica: Replica | undefined;
  #jobs: Job[] = [];
  #suspect = false;
  #lostAgain = false;
  #reads = 0;

  constructor(kernel: Kernel, code: Code, clock: Clock) {
    this.#kernel = kernel;
    this.#code = code;
    this.#clock = clock;
  }

  get isIdle(): boolean {
    return this.#jobs.length === 0;
  }

  /** A daemon starts, and reads the kernel's table. */
  begin(replica: Replica): void {
    this.#replica = replica;
    this.flushedMs = this.#clock.nowMs;
    this.reread();
  }

  end(): void {
    this.#replica = undefined;
    this.#jobs = [];
    this.#suspect = false;
    this.#lostAgain = false;
    this.#reads = 0;
    this.takesOn = false;
  }

  slice(): void {
    if (this.#jobs.length > 0 && this.#jobs[0].next().done) this.#jobs.shift();
  }

  takeOver(done: () => void): void {
    this.#jobs.push(this.#takeOver(done));
  }

  /** It is asked for when the table is being read anyway, and read a little later at the soonest: wanted.ts of the daemon. */
  rereadIfWanted(): void {
    const { ownership } = this.#replica as Replica;
    if (!ownership.wantsReading || this.#reads > 0 || this.#clock.nowMs - this.readMs < WANTED_MS) return;
    const claims = ownership.wantsClaims;
    ownership.wantsReading = false;
    ownership.wantsClaims = false;
    this.reread(() => {}, claims);
  }

  takeOnIfWanted(): void {
    const replica = this.#replica as Replica;
    if (!replica.ownership.wantsTakingOn || this.takesOn) return;
    replica.ownership.wantsTakingOn = false;
    this.takesOn = true;
    this.#jobs.push(this.#takeOn(replica));
  }

  /** Events were lost: run.ts of the daemon. */
  repair(): void {
    if (this.#suspect) {
      this.#lostAgain = true;
      return;
    }
    this.#suspect = true;
    this.reread(() => {
      this.#suspect = false;
      if (!this.#lostAgain) return;
      this.#lostAgain = false;
      this.repair();
    });
  }

  reread(done: () => void = () => {}, claims = false): void {
    this.#jobs.push(this.#reread(claims, done));
    this.#reads++;
    this.readMs = NEVER;
  }

  /**
   * Reads the kernel's table, which changes meanwhile, in portions of which each is made when the one before is received; what
   * is older than an event, and what the dump did not show, is asked for by name: work/resync.ts.
   */
  *#reread(claims: boolean, done: () => void): Job {
    const replica = this.#replica as Replica;
    const { internal } = replica;
    const { flows } = this.#kernel;
    const { internalFull } = replica.counters.cache;
    const { reading } = replica.ownership;
    const age = replica.recentEvents.read();
    internal.beginPass();
    const ids = [...flows.keys()];
    let made = this.#portion(ids);
    let left = FLOWS_PER_SLICE;
    while (made.length + ids.length > 0) {
      const portion = made;
      left -= portion.length;
      age.received();
      made = this.#portion(ids);
      for (const shown of portion) {
        const isDoubtful = age.isDoubtful(shown.words);
        const entry = isDoubtful ? flows.get(idOf(shown.words)) : shown;
        if (entry !== undefined) replica.kernelEntry(entry, this.#clock.nowMs, claims);
        const slot = entry === undefined ? internal.find(shown) : -1;
        if (slot >= 0) replica.ended(slot, this.#clock.nowMs);
      }
      if (left > 0) continue;
      yield undefined;
      left = FLOWS_PER_SLICE;
    }
    age.close();
    if (replica.counters.cache.internalFull === internalFull) replica.kernelRead(reading);
    for (let slot = internal.nextUnseen(0); slot >= 0; slot = internal.nextUnseen(slot + 1)) {
      internal.read(slot, this.#flow, this.#clock.nowMs);
      if (!flows.has(idOf(this.#flow.words))) replica.ended(slot, this.#clock.nowMs);
      if (--left > 0) continue;
      yield undefined;
      left = FLOWS_PER_SLICE;
    }
    if (--this.#reads === 0) this.readMs = this.#clock.nowMs;
    done();
  }

  /** What the kernel's table has now of the next flows. */
  #portion(ids: number[]): Flow[] {
    const shown = [];
    for (const id of ids.splice(0, FLOWS_PER_SLICE)) {
      const flow = this.#kernel.flows.get(id);
      if (flow === undefined) continue;
      const copy = new Flow();
      copy.copyFrom(flow);
      shown.push(copy);
    }
    return shown;
  }

  *#takeOver(done: () => void): Job {
    const replica = this.#replica as Replica;
    replica.ownership.kernelWritten();
    const plan = new this.#code.CommitPlan(replica.external);
    const flow = new Flow();
    for (let left = FLOWS_PER_SLICE; plan.next(flow, this.#clock.nowMs) >= 0; left--) {
      this.#kernel.commit(flow);
      if (left > 0) continue;
      yield undefined;
      left = FLOWS_PER_SLICE;
    }
    replica.ownership.kernelWritten();
    replica.flushExternal();
    this.flushedMs = this.#clock.nowMs;
    this.#reads++;
    this.readMs = NEVER;
    yield* this.#reread(true, () => {});
    for (const session of replica.sessions) session.bulk();
    done();
  }

  /** A second primary stepped down: work/take-on.ts. */
  *#takeOn(replica: Replica): Job {
    const { ownership, internal, external, sessions } = replica;
    for (const session of sessions) session.request();
    const isAwaited = (session: (typeof sessions)[number]): boolean =>
      !session.requestDone && session.peerState(this.#clock.nowMs) !== "silent";
    while (sessions.some(isAwaited)) yield undefined;
    if (replica.role === "master") {
      const plan = new this.#code.CommitPlan(external);
      const flow = new Flow();
      for (let slot = plan.next(flow, 0); slot >= 0; slot = plan.next(flow, 0)) {
        if (!ownership.isToTakeOn(slot, flow)) continue;
        ownership.puts(slot);
        this.#kernel.commit(flow);
        const entry = this.#kernel.flows.get(idOf(flow.words)) as Flow;
        if (replica.kernelEntry(entry, this.#clock.nowMs, true) !== "full")
          ownership.takenOn(slot, internal.find(entry));
      }
      this.tookOn++;
    }
    ownership.tookOn();
    this.takesOn = false;
  }
}
