/**
 * The network between the nodes on a virtual clock: every direction between two nodes loses, delays, duplicates and
 * corrupts datagrams, and may be cut.
 *
 * A link is of one of three kinds. "sealed" is what the sealed channel makes of it: a corrupt datagram, one under a key
 * that the receiver does not take, one that came before, and one of an earlier life of either end are dropped. "checked"
 * is the open channel with UDP's checksum: a corrupt datagram is dropped, everything else arrives, so that datagrams must
 * not outlive their sender (docs/simulation.md). "forging" is the open channel where corruption gets past the checksum.
 */
import { Heap } from "./heap.ts";
import type { Random } from "./random.ts";
import type { Sealed } from "./seal.ts";
import { Violation } from "./violation.ts";

export type LinkKind = "sealed" | "checked" | "forging";

export interface Faults {
  lossPercent: number;
  reorderPercent: number;
  duplicatePercent: number;
  corruptPercent: number;
  /** How much longer than others a datagram that is overtaken takes. */
  delayMaxMs: number;
  cut: boolean;
}

const healthy = (): Faults => ({
  lossPercent: 0,
  reorderPercent: 0,
  duplicatePercent: 0,
  corruptPercent: 0,
  delayMaxMs: 400,
  cut: false,
});

export interface Datagram {
  readonly dueMs: number;
  readonly order: number;
  readonly from: number;
  readonly to: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly isCorrupt: boolean;
  /** What it was sealed with, on a sealed link. */
  readonly sealed: Sealed | undefined;
}

/** Datagrams of all nodes in the whole story: several times what the busiest of 2,000 seeds sends. */
const SENT_MAX = 100_000;

export class Link {
  readonly kind: LinkKind;
  /** By sender, then receiver. */
  readonly faults: readonly (readonly Faults[])[];
  /** A running hash of everything sent and when: equal runs have equal traces. */
  trace = 1;
  sent = 0;
  readonly #random: Random;
  readonly #inFlight = new Heap<Datagram>();
  #order = 0;

  constructor(kind: LinkKind, nodes: number, random: Random) {
    this.kind = kind;
    this.#random = random;
    this.faults = Array.from({ length: nodes }, () => Array.from({ length: nodes }, healthy));
  }

  get isEmpty(): boolean {
    return this.#inFlight.length === 0;
  }

  get dueMs(): number {
    return this.#inFlight.dueMs;
  }

  heal(): void {
    for (const row of this.faults) for (const faults of row) Object.assign(faults, healthy());
  }

  send(from: number, to: number, payload: Uint8Array<ArrayBuffer>, sealed: Sealed | undefined, nowMs: number): void {
    this.#note(from, to, payload, nowMs);
    if (++this.sent > SENT_MAX)
      throw new Violation("bounded", `${SENT_MAX} datagrams after ${nowMs} ms: traffic feeds on itself`);
    const random = this.#random;
    const faults = this.faults[from][to];
    if (faults.cut || random.percent(faults.lossPercent)) return;
    const copies = random.percent(faults.duplicatePercent) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delayMs = random.percent(faults.reorderPercent) ? 1 + random.below(faults.delayMaxMs) : 1;
      const isCorrupt = random.percent(faults.corruptPercent);
      this.#inFlight.push({
        dueMs: nowMs + delayMs,
        order: this.#order++,
        from,
        to,
        payload: isCorrupt ? this.#corrupted(payload) : payload,
        isCorrupt,
        sealed,
      });
    }
  }

  /** Takes a datagram that has arrived by now. The caller knows that there is one. */
  arrived(): Datagram {
    return this.#inFlight.shift();
  }

  /** One to three bytes anywhere are other ones. */
  #corrupted(payload: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const copy = payload.slice();
    if (copy.length === 0) return copy;
    if (this.#random.percent(10)) return copy.slice(0, this.#random.below(copy.length));
    for (let left = 1 + this.#random.below(3); left > 0; left--) {
      // Headers are where corruption does most.
      const at = this.#random.percent(50)
        ? this.#random.below(Math.min(16, copy.length))
        : this.#random.below(copy.length);
      copy[at] ^= 1 + this.#random.below(255);
    }
    return copy;
  }

  #note(from: number, to: number, payload: Uint8Array<ArrayBuffer>, nowMs: number): void {
    this.trace = Bun.hash.xxHash32(payload, (this.trace ^ Math.imul(nowMs * 16 + from * 4 + to, 0x9e3779b1)) >>> 0);
  }
}
