/**
 * Compares the kernel's table with the internal cache, flow by flow, while events go on changing both.
 *
 * A difference counts once a second look confirms it. What a dump shows may be a moment old, and an event about it may
 * wait unread: so a flow that differs is noted, all events of that time are worked off, and if it differs still, the
 * kernel is asked for it by name. Its answer counts if it is what the kernel showed before: a flow that changed in between
 * is looked at once more. A flow that the dump lacks is dead when the kernel, asked, does not know it, and is
 * still in the cache when the events of that time have been worked off.
 */
import { errnoName } from "../../../ffi/errno.ts";
import { FLOW_WORDS, Flow, HAS_TIMEOUT, TIMEOUT } from "../../flow/flow.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { compareExpectations } from "./compare-expectations.ts";
import { eventsRead, type Findings, SUPERSEDED } from "./findings.ts";
import { SliceClock } from "./slice-clock.ts";
import { eachKernelFlow } from "./table.ts";

/** A flow that changed between two looks is looked at once more, this often at most. */
const LOOKS_MAX = 4;

/** Tells `findings` of each difference, of flows and then of expectations; why it ended early, if it did. */
export function* compareKernel(node: Node, findings: Findings): Generator<Slice, Result<void>, void> {
  const compared = yield* new Comparison(node, findings).run();
  if (!compared.ok || !node.config.sync.expectations) return compared;
  return yield* compareExpectations(node.replica.expectations, findings, () => node.state.expectationsReadMs);
}

class Comparison {
  readonly #node: Node;
  readonly #findings: Findings;
  readonly #cached = new Flow();
  /** Flows that differed at the first look. */
  #suspects: Flow[] = [];
  readonly #pass: number;
  /** Why the kernel could not be asked. */
  #errno = 0;

  constructor(node: Node, findings: Findings) {
    this.#node = node;
    this.#findings = findings;
    node.replica.internal.beginPass();
    this.#pass = node.replica.internal.pass;
  }

  *run(): Generator<Slice, Result<void>, void> {
    const shown = new Flow();
    const dump = eachKernelFlow(shown, "comparing", (nowMs) => this.#look(shown, nowMs));
    try {
      for (;;) {
        const step = dump.next();
        if (step.done && !step.value.ok) return step.value;
        if (this.#suspects.length > 0) yield* this.#confirmSuspects();
        if (step.done || this.#over) break;
        yield step.value;
      }
      if (!this.#over) yield* this.#confirmDead();
    } finally {
      dump.return(refuse(SUPERSEDED));
    }
    if (this.#errno !== 0) return refuse(`the kernel cannot be asked for flows: ${errnoName(this.#errno)}`);
    return this.#superseded ? refuse(SUPERSEDED) : succeed(undefined);
  }

  get #superseded(): boolean {
    return this.#node.replica.internal.pass !== this.#pass;
  }

  get #over(): boolean {
    return this.#superseded || this.#errno !== 0;
  }

  #ask(): boolean {
    this.#errno = -this.#node.lookup.ask();
    return this.#errno === 0;
  }

  #look(shown: Flow, nowMs: number): void {
    const found = this.#node.replica.compareEntry(shown);
    if (found === "same") this.#agrees(shown, nowMs);
    else if (found !== "ignored") this.#suspects.push(copyOf(shown));
  }

  #agrees(kernel: Flow, nowMs: number): void {
    const { internal } = this.#node.replica;
    const slot = internal.find(kernel);
    internal.see(slot);
    if (!kernel.has(HAS_TIMEOUT)) return;
    internal.read(slot, this.#cached, nowMs);
    this.#findings.timer(slot, kernel.words[TIMEOUT], this.#cached.words[TIMEOUT], nowMs);
  }

  #eventsRead(): Generator<Slice, void, void> {
    return eventsRead(() => this.#node.state.eventsReadMs);
  }

  *#confirmSuspects(): Generator<Slice, void, void> {
    for (let look = 1; this.#suspects.length > 0 && look <= LOOKS_MAX && !this.#over; look++) {
      const suspects = this.#suspects;
      this.#suspects = [];
      yield* this.#eventsRead();
      yield* this.#lookAgain(suspects);
    }
    this.#suspects = []; // What never stands still has events that tell of it.
  }

  *#lookAgain(suspects: readonly Flow[]): Generator<Slice, void, void> {
    const { lookup, replica } = this.#node;
    const asked: Flow[] = [];
    for (let next = 0; next < suspects.length && !this.#over; ) {
      asked.length = 0;
      for (; next < suspects.length && lookup.hasRoom(); next++) {
        const found = replica.compareEntry(suspects[next]);
        if (found === "same") this.#agrees(suspects[next], monotonicMs());
        else if (found !== "ignored") {
          lookup.add(suspects[next]);
          asked.push(suspects[next]);
        }
      }
      if (this.#ask()) for (let i = 0; i < asked.length; i++) this.#judge(asked[i], lookup.found(i));
      yield 0;
    }
  }

  /** A flow that differed, as the kernel had it and as it has it now; undefined: it has ended meanwhile. */
  #judge(before: Flow, now: Flow | undefined): void {
    if (now === undefined) return;
    const { replica } = this.#node;
    const nowMs = monotonicMs();
    const found = replica.compareEntry(now);
    if (found === "same") this.#agrees(now, nowMs);
    else if (found === "ignored") return;
    else if (!sameButTimeout(before.words, now.words)) this.#suspects.push(copyOf(now));
    else if (found === "missing") this.#findings.missing(now, nowMs);
    else {
      const slot = replica.internal.find(now);
      replica.internal.see(slot);
      this.#findings.changed(now, slot, nowMs);
    }
  }

  *#confirmDead(): Generator<Slice, void, void> {
    const { lookup, replica } = this.#node;
    const { internal } = replica;
    const slots: number[] = [];
    const slice = new SliceClock();
    for (let next = 0; next < internal.slotsEnd && !this.#over; ) {
      slots.length = 0;
      for (; next < internal.slotsEnd && lookup.hasRoom() && !slice.isOver(); next++) {
        if (!internal.isUnseen(next)) continue;
        internal.read(next, this.#cached, monotonicMs());
        lookup.add(this.#cached);
        slots.push(next);
      }
      if (!this.#ask()) return;
      const gone = slots.filter((slot, i) => this.#isGone(slot, lookup.found(i)));
      if (gone.length > 0) yield* this.#eventsRead();
      if (this.#superseded) return;
      for (const slot of gone) if (internal.isUnseen(slot)) this.#findings.dead(slot, monotonicMs());
      if (this.#suspects.length > 0) yield* this.#confirmSuspects();
      yield 0;
      slice.begin();
    }
  }

  /** Whether the kernel's answer says so about a flow that the dump lacked. */
  #isGone(slot: number, kernel: Flow | undefined): boolean {
    if (kernel === undefined || this.#node.replica.compareEntry(kernel) === "ignored") return true;
    this.#node.replica.internal.see(slot);
    this.#look(kernel, monotonicMs());
    return false;
  }
}

function sameButTimeout(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < FLOW_WORDS; i++) if (i !== TIMEOUT && a[i] !== b[i]) return false;
  return true;
}

function copyOf(flow: Flow): Flow {
  const copy = new Flow();
  copy.copyFrom(flow);
  return copy;
}
