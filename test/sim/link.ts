/**
 * A link on a virtual clock that loses, delays, reorders and duplicates datagrams, one direction a side.
 */
import type { Outbound } from "../../src/replica.ts";
import type { Random } from "./random.ts";

export interface Faults {
  readonly lossPercent: number;
  readonly reorderPercent: number;
  readonly duplicatePercent: number;
}

export const HEALTHY: Faults = { lossPercent: 0, reorderPercent: 0, duplicatePercent: 0 };
const DATAGRAM_BYTES = 2_048;
const DATAGRAMS = 16;
const PAYLOAD_MAX = 600; // Small, so that a few flows already make several datagrams.

interface InFlight {
  readonly to: number;
  readonly dueMs: number;
  readonly order: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Collects what one replica sends. */
export class Outbox implements Outbound {
  readonly bytes = new Uint8Array(DATAGRAMS * DATAGRAM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly #lengths: number[] = [];

  get room(): number {
    return DATAGRAMS - this.#lengths.length;
  }

  readonly payloadMax = PAYLOAD_MAX;

  open(): number {
    return this.#lengths.length * DATAGRAM_BYTES;
  }

  close(lengthBytes: number): void {
    if (lengthBytes > PAYLOAD_MAX) throw new Error(`a datagram of ${lengthBytes} bytes`);
    this.#lengths.push(lengthBytes);
  }

  take(): Uint8Array<ArrayBuffer>[] {
    return this.#lengths
      .splice(0)
      .map((length, i) => this.bytes.slice(i * DATAGRAM_BYTES, i * DATAGRAM_BYTES + length));
  }
}

export class Link {
  faults: Faults = HEALTHY;
  /** Directions that are cut, by receiver. */
  readonly cut = [false, false];
  /** A running hash of everything sent and when: equal runs have equal traces. */
  trace = 0x811c9dc5;
  readonly #random: Random;
  #inFlight: InFlight[] = [];
  #order = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get empty(): boolean {
    return this.#inFlight.length === 0;
  }

  send(to: number, payload: Uint8Array<ArrayBuffer>, nowMs: number): void {
    this.#note(to, nowMs);
    for (const byte of payload) this.#note(byte, 0);
    if (this.cut[to] || this.#random.percent(this.faults.lossPercent)) return;
    const copies = this.#random.percent(this.faults.duplicatePercent) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delayMs = this.#random.percent(this.faults.reorderPercent) ? 1 + this.#random.below(400) : 1;
      this.#inFlight.push({ to, dueMs: nowMs + delayMs, order: this.#order++, payload });
    }
  }

  /** What has arrived by now, in order of arrival. */
  arrived(nowMs: number): InFlight[] {
    const due = this.#inFlight.filter((datagram) => datagram.dueMs <= nowMs);
    if (due.length > 0) this.#inFlight = this.#inFlight.filter((datagram) => datagram.dueMs > nowMs);
    return due.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order);
  }

  #note(byte: number, nowMs: number): void {
    this.trace = Math.imul((this.trace ^ byte ^ nowMs) >>> 0, 0x01000193) >>> 0;
  }
}
