/**
 * Which flows an event told of a moment ago, so that an older entry of a dump is not laid over what the event said.
 *
 * The kernel makes each portion of a dump when the one before is received, so what is worked off now was made before
 * events that have been worked off meanwhile. Of a flow that one of these was about, created, changed or ended, the
 * portion may show an older state: its entry is *doubtful*, and the kernel must be asked for the flow by name.
 *
 * Moments are numbers of events, counted while somebody reads a dump. A bucket of flows keeps the moment of its last
 * event; that two flows share one makes an entry doubtful that need not be, and costs a question.
 */
import type { FlowHash } from "./hash.ts";

/** A power of two. */
const BUCKETS = 65_536;

export class RecentEvents {
  readonly #hash: FlowHash;
  readonly #moments = new Uint32Array(BUCKETS);
  #now = 0;
  #unknown = 0;
  #readers = 0;

  constructor(hash: FlowHash) {
    this.#hash = hash;
  }

  /** A dump is about to be read; `close` what this returns. Own work that raises no event may have come before. */
  read(): DumpAge {
    this.#readers++;
    this.anything();
    return new DumpAge(this, () => this.#readers--);
  }

  /** An event about this flow. */
  note(words: Uint32Array): void {
    if (this.#readers > 0) this.#moments[this.#hash.of(words) % BUCKETS] = ++this.#now;
  }

  /** Any flow may have changed: whatever was dumped before is doubtful. */
  anything(): void {
    this.#unknown = ++this.#now;
  }

  get now(): number {
    return this.#now;
  }

  /** Whether the flow may have changed after this moment. Moments wrap at 2^32. */
  isNewer(words: Uint32Array, moment: number): boolean {
    if (this.#now === moment) return false;
    return isAfter(this.#unknown, moment) || isAfter(this.#moments[this.#hash.of(words) % BUCKETS], moment);
  }
}

/** How old the entries of one dump are. */
export class DumpAge {
  readonly #events: RecentEvents;
  readonly close: () => void;
  /** When the portion in hand was made at the earliest, and the one that comes next. */
  #made = 0;
  #nextMade = 0;

  constructor(events: RecentEvents, close: () => void) {
    this.#events = events;
    this.close = close;
    this.started();
  }

  /** The kernel is asked for a dump, and makes the first portion. */
  started(): void {
    this.#made = this.#events.now;
    this.#nextMade = this.#made;
  }

  /** A portion is received, and the kernel makes the next. */
  received(): void {
    this.#made = this.#nextMade;
    this.#nextMade = this.#events.now;
  }

  isDoubtful(words: Uint32Array): boolean {
    return this.#events.isNewer(words, this.#made);
  }
}

const isAfter = (a: number, b: number): boolean => ((a - b) | 0) > 0;
