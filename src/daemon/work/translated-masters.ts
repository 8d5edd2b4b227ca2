/**
 * Masters of new expectations behind NAT, read from the kernel one by one: a helper that rewrites an address in a packet
 * shifts the sequence numbers behind it, and of that the kernel raises no event. Without the shift the session would break
 * at the peer, where its packets meet sequence numbers that nobody expects.
 */
import { type Expectation, flowOfTuple } from "../../flow/expectation.ts";
import { Flow } from "../../flow/flow.ts";
import type { KernelLookup } from "../../kernel/lookup.ts";
import type { Replica } from "../../replica.ts";
import { succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Jobs } from "../jobs.ts";

/** The event comes from within the helper, just before it rewrites the packet. */
const SETTLE_MS = 2;
/** More than these are read without waiting. */
const WAITING_MAX = 1_024;

type Lookup = Pick<KernelLookup, "add" | "ask" | "found">;
type Entries = Pick<Replica, "kernelEntry" | "recentEvents">;

export class TranslatedMasters {
  readonly #lookup: Lookup;
  readonly #replica: Entries;
  readonly #jobs: Pick<Jobs, "addIdle">;
  readonly #flow = new Flow();
  #waiting: Expectation[] = [];

  constructor(lookup: Lookup, replica: Entries, jobs: Pick<Jobs, "addIdle">) {
    this.#lookup = lookup;
    this.#replica = replica;
    this.#jobs = jobs;
  }

  /** An expectation began. */
  began(expectation: Expectation): void {
    if (expectation.nat === undefined) return;
    if (this.#waiting.length === WAITING_MAX) this.#read(expectation);
    else if (this.#waiting.push(expectation) === 1) void this.#jobs.addIdle(this.#readAll());
  }

  *#readAll(): Job<void> {
    yield SETTLE_MS;
    const due = this.#waiting;
    this.#waiting = [];
    for (const expectation of due) this.#read(expectation);
    return succeed(undefined);
  }

  #read(expectation: Expectation): void {
    flowOfTuple(expectation.master, this.#flow);
    this.#lookup.add(this.#flow);
    const entry = this.#lookup.ask() < 0 ? undefined : this.#lookup.found(0);
    if (entry === undefined) return;
    this.#replica.recentEvents.note(entry.words); // What a dump that is being read shows of it may be older, as after an event.
    this.#replica.kernelEntry(entry, monotonicMs());
  }
}
