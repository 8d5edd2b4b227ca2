/** What a sealed link has to tell the log: each new life of the peer, and, once for each, why datagrams are refused. */
import type { ChannelCounters } from "../channel/counters.ts";
import type { Seal } from "../channel/seal.ts";
import type { SessionId } from "../wire/seal.ts";
import type { Log } from "./log.ts";

const REASONS = {
  clear: "are clear: give that node the key, or take link.key_file away here",
  wrongKey: "are sealed with a key that is not in the key file here: both firewalls need the same file",
  forged: "are forged: somebody on the link has not the key",
} as const;
type Reason = keyof typeof REASONS;

export class SealNews {
  readonly #seal: Seal;
  readonly #counters: ChannelCounters;
  readonly #peer: string;
  readonly #log: Log;
  /** Up to which count each reason has been told. */
  readonly #told: Record<Reason, number> = { clear: 0, wrongKey: 0, forged: 0 };
  readonly #quiet = new Set<Reason>();
  #session = "";

  constructor(seal: Seal, counters: ChannelCounters, peer: string, log: Log) {
    this.#seal = seal;
    this.#counters = counters;
    this.#peer = peer;
    this.#log = log;
  }

  look(): void {
    const { handshake } = this.#seal;
    const session = handshake.established ? sessionText(handshake.peerSession) : "";
    if (session !== this.#session) {
      this.#session = session;
      this.#quiet.clear();
      if (session !== "") this.#log.info(`${this.#peer} is session ${session}, proved by key ${this.#seal.peerKey}`);
    }
    for (const reason of Object.keys(REASONS) as Reason[]) {
      const isMore = this.#counters[reason] > this.#told[reason];
      this.#told[reason] = this.#counters[reason];
      if (!isMore || this.#quiet.has(reason)) continue;
      this.#quiet.add(reason);
      this.#log.warning(
        `datagrams from ${this.#peer}'s address ${REASONS[reason]}; they are refused and counted (${reason})`,
      );
    }
  }
}

/** 16 hexadecimal digits. */
export const sessionText = (session: SessionId): string =>
  Array.from(session, (word) => word.toString(16).padStart(8, "0")).join("");
