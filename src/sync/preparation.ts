/**
 * Before a planned handover the primary asks its backup to commit all it has ahead of time (PREPARE), and hears what came of
 * it (PREPARED). Either may be lost: the question is asked again until it is answered, and an answer is given to each question.
 */
import {
  AT_ADDRESSEE,
  AT_PREPARED_REFUSED,
  AT_PREPARED_TAKEN,
  AT_QUESTION,
  EXT_PREPARE,
  EXT_PREPARED,
  type ExtensionMessage,
} from "../wire/extension.ts";
import type { ExtensionPort } from "./session.ts";

const AGAIN_MS = 500;

export interface Prepared {
  readonly taken: number;
  readonly refused: number;
}

export const isForPreparation = ({ subtype }: ExtensionMessage): boolean =>
  subtype === EXT_PREPARE || subtype === EXT_PREPARED;

export class Preparation {
  /** What the peer answered to our newest question; undefined: nothing yet. */
  answered: Prepared | undefined;
  /** The question of the peer that waits for our answer, 0 if none does. */
  asked = 0;
  readonly #port: ExtensionPort;
  #question = 0;
  #isAsking = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #lastAnswered = 0;
  #answer: Prepared = { taken: 0, refused: 0 };
  #mustAnswer = false;

  constructor(port: ExtensionPort) {
    this.#port = port;
  }

  /** Asks the peer. */
  ask(): void {
    this.#question++;
    this.#isAsking = true;
    this.#askedMs = Number.NEGATIVE_INFINITY;
    this.answered = undefined;
  }

  /** Asks no more. */
  giveUp(): void {
    this.#isAsking = false;
  }

  /** Answers what the peer asked. */
  answer(prepared: Prepared): void {
    this.#lastAnswered = this.asked;
    this.#answer = prepared;
    this.#mustAnswer = true;
    this.asked = 0;
  }

  /** A new life of the peer: it asked nothing, and knows nothing of our question. */
  reborn(): void {
    this.asked = 0;
    this.#lastAnswered = 0;
    this.#mustAnswer = false;
    this.#askedMs = Number.NEGATIVE_INFINITY;
  }

  get dueMs(): number {
    if (this.#mustAnswer) return Number.NEGATIVE_INFINITY;
    return this.#isAsking ? this.#askedMs + AGAIN_MS : Number.POSITIVE_INFINITY;
  }

  hear({ subtype, words }: ExtensionMessage): void {
    if (words[AT_ADDRESSEE] !== this.#port.ownEpoch.low) return;
    const question = words[AT_QUESTION];
    if (subtype === EXT_PREPARE) {
      if (question === this.#lastAnswered) this.#mustAnswer = true;
      else this.asked = question;
    } else if (this.#isAsking && question === this.#question) {
      this.answered = { taken: words[AT_PREPARED_TAKEN], refused: words[AT_PREPARED_REFUSED] };
      this.#isAsking = false;
    }
  }

  /** Fills in the next message to send; false when there is none. */
  next(message: ExtensionMessage, nowMs: number): boolean {
    if (this.#mustAnswer) {
      this.#mustAnswer = false;
      message.begin(EXT_PREPARED);
      message.words[AT_QUESTION] = this.#lastAnswered;
      message.words[AT_PREPARED_TAKEN] = this.#answer.taken;
      message.words[AT_PREPARED_REFUSED] = this.#answer.refused;
    } else if (this.#isAsking && nowMs - this.#askedMs >= AGAIN_MS) {
      this.#askedMs = nowMs;
      message.begin(EXT_PREPARE);
      message.words[AT_QUESTION] = this.#question;
    } else return false;
    message.words[AT_ADDRESSEE] = this.#port.peerEpochLow;
    return true;
  }
}
