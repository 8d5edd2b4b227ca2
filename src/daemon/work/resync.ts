/**
 * Resync: reads the kernel's table into the internal cache, and finds out which cached flows the kernel has no more.
 *
 * Replication goes on meanwhile. Two kinds of flows are asked for by name, and the answer is taken before any other event
 * is: those whose entry in the dump is older than an event about them, and those that the dump lacks. Neither is proof
 * of anything, since a dump is not atomic (D-011).
 */
import { errnoName } from "../../../ffi/errno.ts";
import { DEAD } from "../../cache/internal.ts";
import type { DumpAge } from "../../cache/recent-events.ts";
import { Flow } from "../../flow/flow.ts";
import { explain } from "../../kernel/kernel-error.ts";
import type { Entry } from "../../replica.ts";
import type { ResyncReport } from "../../report.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { resyncExpectations } from "./expectations.ts";
import { SliceClock } from "./slice-clock.ts";
import { eachKernelFlow } from "./table.ts";

/** `claims`: this node has taken over, so what stands in its kernel is its own to announce. */
export function resync(node: Node, claims = false): Job<ResyncReport> {
  return reread(node, (flow, nowMs) => node.replica.kernelEntry(flow, nowMs, claims));
}

/** What an entry of the dump is to the caches. */
type Take = (flow: Flow, nowMs: number) => Entry;

export function* reread(node: Node, take: Take): Job<ResyncReport> {
  const age = node.replica.recentEvents.read();
  node.state.rereading++;
  try {
    return yield* new Reread(node, take, age).run();
  } finally {
    node.state.rereading--;
    age.close();
  }
}

class Reread {
  readonly #node: Node;
  readonly #entry: Take;
  readonly #age: DumpAge;
  readonly #flow = new Flow();
  #created = 0;
  #updated = 0;
  #removed = 0;
  /** Why the kernel could not be asked. */
  #errno = 0;

  constructor(node: Node, entry: Take, age: DumpAge) {
    this.#node = node;
    this.#entry = entry;
    this.#age = age;
  }

  *run(): Job<ResyncReport> {
    const { replica, config } = this.#node;
    const { internalFull } = replica.counters.cache;
    const { reading } = replica.ownership;
    replica.internal.beginPass();
    const read = yield* this.#readTable();
    if (!read.ok) return refuse({ error: read.error });
    if (replica.counters.cache.internalFull === internalFull) replica.kernelRead(reading);
    const unseen = yield* this.#askForUnseen();
    if (!unseen.ok) return refuse({ error: unseen.error });
    if (config.sync.expectations) {
      const reread = yield* resyncExpectations(replica.expectations);
      if (!reread.ok) return refuse({ error: explain(reread.error) });
    }
    return succeed({ read: read.value, created: this.#created, updated: this.#updated, removed: this.#removed });
  }

  *#readTable(): Generator<Slice, Result<number>, void> {
    const visit = (nowMs: number): void => this.#visit(nowMs);
    const dump = eachKernelFlow(this.#flow, "reading the kernel", visit, this.#age);
    try {
      for (;;) {
        const step = dump.next();
        this.#ask();
        if (this.#errno !== 0) return this.#cannotAsk();
        if (step.done) return step.value;
        yield step.value;
      }
    } finally {
      dump.return(refuse("given up"));
    }
  }

  #visit(nowMs: number): void {
    if (!this.#age.isDoubtful(this.#flow.words)) {
      this.#take(this.#flow, nowMs);
      return;
    }
    const { lookup } = this.#node;
    if (!lookup.hasRoom()) this.#ask();
    lookup.add(this.#flow);
  }

  #take(flow: Flow, nowMs: number): void {
    const entry = this.#entry(flow, nowMs);
    if (entry === "created") this.#created++;
    else if (entry === "updated") this.#updated++;
  }

  *#askForUnseen(): Generator<Slice, Result<void>, void> {
    const { lookup, replica } = this.#node;
    const { internal } = replica;
    const slice = new SliceClock();
    for (let slot = 0; slot < internal.slotsEnd; ) {
      for (; slot < internal.slotsEnd && lookup.hasRoom() && !slice.isOver(); slot++) {
        if (!internal.isUnseen(slot)) continue;
        internal.read(slot, this.#flow, monotonicMs());
        lookup.add(this.#flow);
      }
      this.#ask();
      if (this.#errno !== 0) return this.#cannotAsk();
      yield 0;
      slice.begin();
    }
    return succeed(undefined);
  }

  /** What the kernel answers is as it is now, and newer than every event that was worked off. */
  #ask(): void {
    const { lookup, replica } = this.#node;
    const { internal } = replica;
    const failure = lookup.ask();
    if (failure < 0) {
      this.#errno = -failure;
      return;
    }
    const nowMs = monotonicMs();
    for (let i = 0; i < lookup.asked; i++) {
      const found = lookup.found(i);
      if (found !== undefined) {
        this.#take(found, nowMs);
        continue;
      }
      const slot = internal.find(lookup.wanted(i));
      if (slot < 0 || internal.lifeOf(slot) === DEAD) continue;
      replica.ended(slot, nowMs);
      this.#removed++;
    }
  }

  #cannotAsk(): Result<never> {
    return refuse(`the kernel cannot be asked for flows: ${errnoName(this.#errno)}`);
  }
}
