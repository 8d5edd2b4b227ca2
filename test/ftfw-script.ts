/**
 * One side of an FTFW pair, whose messages are written as text: number, kind, range or slot, and the greeting.
 *
 *   "1000 ALIVE HELLO"   "1001 ACK 500-502 HELLO_BACK"   "1002 flow 7"   "1003 RESYNC"
 */
import { Ftfw, type FtfwLimits } from "../src/sync/ftfw.ts";
import type { SlotOwner, Verdict } from "../src/sync/session.ts";
import {
  CT_UPDATE,
  CTL,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  FLAG_NACK,
  FLAG_RESYNC,
} from "../src/wire/header.ts";

const KINDS = { ALIVE: FLAG_ALIVE, ACK: FLAG_ACK, NACK: FLAG_NACK, RESYNC: FLAG_RESYNC } as const;
const LIMITS: FtfwLimits = { resendQueue: 64, inFlightMax: 64, ackWindow: 300 };

export class Side implements SlotOwner {
  readonly session: Ftfw;
  readonly slotsMax = 64;
  nowMs = 0;
  /** Slots of live flows. */
  live: readonly number[] = [];
  #released: number[] = [];

  constructor(firstSeq: number, limits: Partial<FtfwLimits> = {}) {
    this.session = new Ftfw({ ...LIMITS, ...limits }, firstSeq, this);
  }

  nextLive(from: number): number {
    return this.live.find((slot) => slot >= from) ?? -1;
  }

  release(slot: number): void {
    this.#released.push(slot);
  }

  /** Slots whose newest state the peer acknowledged since the last look. */
  get released(): number[] {
    return this.#released.splice(0);
  }

  /** Lets `laterMs` pass, and says all that is to be said. */
  says(laterMs = 0): string[] {
    this.nowMs += laterMs;
    const { session, nowMs } = this;
    session.tick(nowMs);
    const said: string[] = [];
    for (let sending = session.transmit(nowMs); sending !== "nothing"; sending = session.transmit(nowMs)) {
      const { seq, flags, slot, from, to } = session.outgoing;
      const kind = Object.entries(KINDS).find(([, bit]) => flags & bit)?.[0] ?? "?";
      const content =
        sending === "data" ? `flow ${slot}` : kind === "ACK" || kind === "NACK" ? `${kind} ${from}-${to}` : kind;
      said.push(
        `${seq} ${content}${flags & FLAG_HELLO ? " HELLO" : ""}${flags & FLAG_HELLO_BACK ? " HELLO_BACK" : ""}`,
      );
    }
    return said;
  }

  /** Hears messages in this order; what becomes of the last one. */
  hears(...messages: readonly string[]): Verdict {
    let verdict: Verdict = "deliver";
    for (const message of messages) {
      const [seq, kind, detail = "0-0"] = message.split(" ");
      const [from, to] = detail.split("-").map(Number);
      const greeting =
        (/ HELLO( |$)/.test(message) ? FLAG_HELLO : 0) | (/HELLO_BACK/.test(message) ? FLAG_HELLO_BACK : 0);
      const isFlow = kind === "flow";
      const flags = greeting | (isFlow ? 0 : KINDS[kind as keyof typeof KINDS]);
      const isRange = kind === "ACK" || kind === "NACK";
      const range: [number, number] = isRange ? [from, to] : [0, 0];
      verdict = this.session.receive(isFlow ? CT_UPDATE : CTL, flags, Number(seq), ...range, this.nowMs);
    }
    return verdict;
  }
}

/** Two sides after their handshake; `firstSeq` of either is the next number it says. */
export function connected(limits: Partial<FtfwLimits> = {}, ourSeq = 1_000): Side {
  const side = new Side((ourSeq - 1) >>> 0, limits);
  side.says(1_000);
  side.hears("500 ALIVE HELLO_BACK");
  return side;
}
