/** What all connections of a client have in common: when something came, and what became of them. */
import type { ClientKind, ConnectionReport } from "./traffic-protocol.ts";

/** So many answers after the moment in question prove that a connection goes on. */
const ANSWERS_NEEDED = 3;

export const nowMs = (): number => performance.timeOrigin + performance.now();

/** Moments something came, as far as they tell: how many since the moment asked about, and the longest silence. */
class Arrivals {
  #lastMs = nowMs();
  #sinceMs = Number.POSITIVE_INFINITY;
  count = 0;
  longestGapMs = 0;
  gapEndMs = 0;

  came(): void {
    const now = nowMs();
    this.note(now);
    this.#lastMs = now;
    if (now > this.#sinceMs) this.count++;
  }

  /** Forgets the silences so far; one that has begun counts from its beginning. */
  watch(): void {
    this.longestGapMs = 0;
    this.gapEndMs = 0;
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  countSince(ms: number): void {
    this.#sinceMs = ms;
    this.count = 0;
  }

  /** The silence may not have ended yet. */
  note(now: number): void {
    if (now - this.#lastMs <= this.longestGapMs) return;
    this.longestGapMs = now - this.#lastMs;
    this.gapEndMs = now;
  }
}

export abstract class Stream {
  readonly kind: ClientKind;
  readonly number: number;
  readonly arrivals = new Arrivals();
  /** Why it ended; empty while it lives. */
  fate = "";
  localPort = 0;
  openedMs = 0;
  protected readonly answersNeeded: number = ANSWERS_NEEDED;
  /** It is used when it is told to, else all the time. */
  readonly isUsedOnce: boolean = false;

  constructor(kind: ClientKind, number: number) {
    this.kind = kind;
    this.number = number;
  }

  abstract open(): Promise<void>;
  /** It has been used once at least. */
  abstract get ready(): boolean;
  /** Ends it without a farewell that would linger in the firewalls. */
  abstract terminate(): void;
  /** Before an event: makes ready what can be used but once. */
  async renew(): Promise<void> {}
  /** After an event: uses it, once it is told to. */
  prove(): void {}

  get goesOn(): boolean {
    return this.fate === "" && this.arrivals.count >= this.answersNeeded;
  }

  report(): ConnectionReport {
    if (!this.goesOn) this.arrivals.note(nowMs());
    const { kind, number, localPort, openedMs, goesOn } = this;
    const { longestGapMs, gapEndMs } = this.arrivals;
    this.fate ||= goesOn ? "" : "silent";
    return { kind, number, localPort, openedMs, survived: goesOn, fate: this.fate, longestGapMs, gapEndMs };
  }

  protected end(fate: string | undefined): void {
    this.fate ||= fate ?? "closed";
  }
}
