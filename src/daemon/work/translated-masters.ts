/**
 * Masters of new expectations behind NAT, read from the kernel one by one: a helper that rewrites an address in a packet
 * shifts the sequence numbers behind it, and of that the kernel raises no event. Without the shift the session would break
 * at the peer, where its packets meet sequence numbers that nobody expects. A master that the peers have not heard of yet, as this
 * node has just taken over and has thousands of flows to tell, is told before those: a peer expects nothing for an unknown one.
 */
import { type Expectation, flowOfTuple } from "../../flow/expectation.ts";
import { Flow } from "../../flow/flow.ts";
import type { KernelLookup } from "../../kernel/lookup.ts";
import type { Replica } from "../../replica.ts";

/** The event comes from within the helper, just before it rewrites the packet. */
const SETTLE_MS = 2;
/** More than these are read without waiting. */
const WAITING_MAX = 1_024;
/** Of one turn: each takes some microseconds. */
const READ_MAX = 64;

type Lookup = Pick<KernelLookup, "add" | "ask" | "found">;
type Entries = Pick<Replica, "kernelEntry" | "recentEvents" | "tellNow">;

interface Waiting {
  readonly expectation: Expectation;
  readonly dueMs: number;
}

export class TranslatedMasters {
  readonly #lookup: Lookup;
  readonly #replica: Entries;
  readonly #flow = new Flow();
  #waiting: Waiting[] = [];

  constructor(lookup: Lookup, replica: Entries) {
    this.#lookup = lookup;
    this.#replica = replica;
  }

  /** When the next is to be read. */
  get dueMs(): number {
    return this.#waiting[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** An expectation began. */
  began(expectation: Expectation, nowMs: number): void {
    flowOfTuple(expectation.master, this.#flow);
    if (this.#replica.tellNow(this.#flow) && expectation.nat === undefined) return;
    if (this.#waiting.length === WAITING_MAX) this.#read(expectation, nowMs);
    else this.#waiting.push({ expectation, dueMs: nowMs + SETTLE_MS });
  }

  /** Reads those that are due. It is part of the turn, and no job: a reread of a large table would keep it waiting for seconds. */
  tick(nowMs: number): void {
    if (nowMs < this.dueMs) return;
    const due = this.#waiting.filter(({ dueMs }) => dueMs <= nowMs).slice(0, READ_MAX);
    this.#waiting = this.#waiting.slice(due.length);
    for (const { expectation } of due) this.#read(expectation, nowMs);
  }

  #read(expectation: Expectation, nowMs: number): void {
    flowOfTuple(expectation.master, this.#flow);
    this.#lookup.add(this.#flow);
    const entry = this.#lookup.ask() < 0 ? undefined : this.#lookup.found(0);
    if (entry === undefined) return;
    this.#replica.recentEvents.note(entry.words); // What a dump that is being read shows of it may be older, as after an event.
    this.#replica.kernelEntry(entry, nowMs);
    this.#replica.tellNow(entry);
  }
}
