/**
 * The extension of a session towards a ctsync node on a sealed channel: STATE messages of its own, and the way for those
 * of the node behind it (`ExtensionHost`), between the control messages and the flows.
 */
import { AT_CLOCK, AT_REIGN, CAPABILITY_DIGESTS, EXT, EXT_STATE, ExtensionMessage } from "../wire/extension.ts";
import { FLAG_HELLO } from "../wire/header.ts";
import { Acquaintance } from "./acquaintance.ts";
import type { Dirt } from "./dirt.ts";
import type { Receiver } from "./receiver.ts";
import type { Sender } from "./sender.ts";
import type { Epoch, ExtensionHost, ExtensionPort, Verdict } from "./session.ts";

/** What is needed towards a ctsync node on a sealed channel. */
export interface Extension {
  /** This life of ours. */
  readonly epoch: Epoch;
}

/** The session that is extended. */
export interface ExtendedSession {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly dirt: Dirt;
  receive(type: number, flags: number, seq: number, from: number, to: number, nowMs: number): Verdict;
  /** The peer lives anew: it has nothing of ours, and what it told is the dead life's. */
  newLife(): void;
}

export class Extended implements ExtensionPort {
  readonly outgoing = new ExtensionMessage();
  readonly ownEpoch: Epoch;
  readonly acquaintance: Acquaintance;
  readonly #session: ExtendedSession;
  #host: ExtensionHost | undefined;
  #connected = false;
  /** When `prepare` looked last, the node behind could have said something. */
  #mayAsk = false;
  /** HELLO told of a new life whose epoch is not heard yet. */
  #lifeNoted = false;

  constructor({ epoch }: Extension, session: ExtendedSession) {
    this.ownEpoch = epoch;
    this.acquaintance = new Acquaintance(epoch);
    this.#session = session;
  }

  attach(host: ExtensionHost): void {
    this.#host = host;
  }

  get acquainted(): boolean {
    const { capabilities, confirmed } = this.acquaintance;
    return this.#connected && confirmed && (capabilities & CAPABILITY_DIGESTS) !== 0;
  }

  get unsettledFrom(): number {
    return this.#session.sender.unsettledFrom;
  }

  get unbrokenFrom(): number {
    return this.#session.receiver.unbrokenFrom;
  }

  get bulkRunning(): boolean {
    return this.#session.sender.bulk.running;
  }

  get peerEpochLow(): number {
    return this.acquaintance.epoch?.low ?? 0;
  }

  get peerIsFull(): boolean {
    return this.acquaintance.peerIsFull;
  }

  isSettled(slot: number): boolean {
    return this.#session.sender.isSettled(slot);
  }

  receive(message: ExtensionMessage | null, flags: number, seq: number, nowMs: number): Verdict {
    const { acquaintance } = this;
    const state = message?.subtype === EXT_STATE ? message : null;
    const meeting = state === null ? "known" : acquaintance.meet(state);
    if (meeting === "past") return "late";
    if (meeting === "new" && (flags & FLAG_HELLO) !== 0) this.#session.receiver.newLife();
    const verdict = this.#session.receive(EXT, flags, seq, 0, 0, nowMs);
    if (verdict !== "deliver" || message === null) return verdict;
    if (state === null) {
      this.#host?.hear(message, seq, nowMs);
      return verdict;
    }
    acquaintance.hear(state);
    const { words } = state;
    this.#host?.heardClock(words[AT_CLOCK] * 2 ** 32 + words[AT_CLOCK + 1], words[AT_REIGN]);
    if (acquaintance.peerIsFull) this.#session.dirt.mark("peer-full", nowMs);
    if (meeting === "new") {
      if (!this.#lifeNoted) this.#session.newLife();
      this.#lifeNoted = false;
    }
    return verdict;
  }

  /** A new life of the peer begins; `greeted`: it said so by HELLO, its epoch will be heard. */
  reborn(greeted: boolean): void {
    this.#lifeNoted = greeted && this.acquaintance.epoch !== null;
    this.#host?.reborn();
  }

  tick(): void {
    if (this.#host !== undefined) this.acquaintance.tick(this.#host, this.#session.sender.bulk);
  }

  nextDueMs(nowMs: number): number {
    const stateDueMs = this.acquaintance.dueMs;
    if (this.#host === undefined) return stateDueMs;
    return Math.min(stateDueMs, this.#host.nextDueMs(this.#mayAsk, nowMs));
  }

  /** Fills `outgoing` with what is to be said now; false when that is nothing. `heard`: the peer is there. */
  prepare(connected: boolean, heard: boolean, nowMs: number): boolean {
    this.#connected = connected;
    const host = this.#host;
    if (host === undefined) return false;
    const { sender } = this.#session;
    if (nowMs >= this.acquaintance.dueMs) {
      this.acquaintance.say(this.outgoing, host, sender.bulk, heard, nowMs);
      return true;
    }
    this.#mayAsk = heard && this.acquainted && !sender.windowFull;
    return this.#mayAsk && host.next(this.outgoing, sender.nextSeq, nowMs);
  }
}
