/**
 * What two ctsync nodes tell each other of themselves, by STATE messages on a sealed channel: version, capabilities, epoch,
 * role, and how far a bulk has come.
 *
 * STATE is said once a second, sooner when something in it changed, and every fifth of a second until the peer names our
 * epoch in its own. An epoch that was not heard before is a new life of the peer, an epoch that was left behind is a
 * message from the grave (D-005).
 */
import {
  AT_BULK_NUMBER,
  AT_BULK_SENT,
  AT_BULK_TOTAL,
  AT_CAPABILITIES,
  AT_CLOCK,
  AT_EPOCH,
  AT_FLOWS,
  AT_HEARD_EPOCH,
  AT_REIGN,
  CAPABILITY_DIGESTS,
  CAPABILITY_OWNERSHIP,
  EXT_STATE,
  EXT_VERSION,
  type ExtensionMessage,
  STATE_BULK_ARRIVED,
  STATE_BULK_SENDING,
  STATE_FULL,
} from "../wire/extension.ts";
import type { Bulk } from "./bulk.ts";
import type { BulkProgress, Epoch, ExtensionHost, NodeRole } from "./session.ts";

const CAPABILITIES = CAPABILITY_DIGESTS | CAPABILITY_OWNERSHIP;
const STATE_MS = 1_000;
/** While the peer has not named our epoch, or a bulk is under way. */
const STATE_OFTEN_MS = 200;
/** Epochs left behind that are remembered: as many restarts as fit between a message's sending and its arrival. */
const PAST_EPOCHS = 8;
const ROLES: readonly NodeRole[] = ["unknown", "master", "backup", "fault", "stop"];

/** "new": a life that was not heard of before, though another one was. "past": a life that has ended. */
export type Meeting = "known" | "first" | "new" | "past";

export class Acquaintance {
  capabilities = 0;
  epoch: Epoch | null = null;
  role: NodeRole = "unknown";
  /** The peer's external cache had no room for a flow of ours. */
  peerIsFull = false;
  /** The peer has named our epoch: it knows this life of ours. */
  confirmed = false;
  readonly #own: Epoch;
  readonly #past: Epoch[] = [];
  #bulk: BulkProgress | null = null;
  #bulkNumber = 0;
  /** The bulk of the peer that was the newest when it was asked for everything. */
  #bulkBefore = 0;
  #dueMs = 0;
  #saidWhat = "";
  #ownBulk = 0;
  #ownTotal = 0;

  constructor(own: Epoch) {
    this.#own = own;
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  get bulk(): BulkProgress | null {
    return this.#bulk;
  }

  /** Whether a bulk that began after the peer was asked for everything has wholly arrived. */
  get answered(): boolean {
    return this.#bulk?.arrived === true && this.#bulkNumber !== this.#bulkBefore;
  }

  /** The peer is asked for everything: what it has sent until now is no answer. */
  asking(): void {
    this.#bulkBefore = this.#bulkNumber;
  }

  /** Which life of the peer says this STATE. */
  meet({ words }: ExtensionMessage): Meeting {
    const { epoch } = this;
    if (epoch === null) return "first";
    if (isEpoch(epoch, words)) return "known";
    return this.#past.some((past) => isEpoch(past, words)) ? "past" : "new";
  }

  hear(message: ExtensionMessage): void {
    const { words } = message;
    if (this.epoch === null || !isEpoch(this.epoch, words)) {
      if (this.epoch !== null) {
        this.#past.push(this.epoch);
        if (this.#past.length > PAST_EPOCHS) this.#past.shift();
      }
      this.epoch = { high: words[AT_EPOCH], low: words[AT_EPOCH + 1] };
      this.#bulkBefore = 0;
      this.#dueMs = 0; // Its STATE is answered at once, so that it hears its epoch named.
    }
    this.capabilities = words[AT_CAPABILITIES];
    this.role = ROLES[message.b] ?? "unknown";
    this.confirmed = words[AT_HEARD_EPOCH] === this.#own.high && words[AT_HEARD_EPOCH + 1] === this.#own.low;
    this.peerIsFull = (message.c & STATE_FULL) !== 0;
    this.#bulkNumber = words[AT_BULK_NUMBER];
    this.#bulk =
      this.#bulkNumber === 0
        ? null
        : {
            sent: words[AT_BULK_SENT],
            total: words[AT_BULK_TOTAL],
            sending: (message.c & STATE_BULK_SENDING) !== 0,
            arrived: (message.c & STATE_BULK_ARRIVED) !== 0,
          };
  }

  /** Looks whether there is something to say before its time. */
  tick(host: ExtensionHost, bulk: Bulk): void {
    if (bulk.number !== this.#ownBulk) {
      this.#ownBulk = bulk.number;
      this.#ownTotal = host.flows;
    }
    const what = `${host.role} ${host.isFull} ${bulk.number} ${bulk.running} ${bulk.done}`;
    if (what === this.#saidWhat) return;
    this.#saidWhat = what;
    this.#dueMs = 0;
  }

  say(message: ExtensionMessage, host: ExtensionHost, bulk: Bulk, heard: boolean, nowMs: number): void {
    message.begin(EXT_STATE, EXT_VERSION, ROLES.indexOf(host.role));
    const { words } = message;
    message.c =
      (host.isFull ? STATE_FULL : 0) |
      (bulk.running ? STATE_BULK_SENDING : 0) |
      (bulk.done && bulk.number > 0 ? STATE_BULK_ARRIVED : 0);
    words[AT_CAPABILITIES] = CAPABILITIES;
    words[AT_EPOCH] = this.#own.high;
    words[AT_EPOCH + 1] = this.#own.low;
    words[AT_HEARD_EPOCH] = this.epoch?.high ?? 0;
    words[AT_HEARD_EPOCH + 1] = this.epoch?.low ?? 0;
    words[AT_FLOWS] = host.flows;
    words[AT_BULK_NUMBER] = bulk.number;
    words[AT_BULK_SENT] = bulk.sent;
    words[AT_BULK_TOTAL] = Math.max(this.#ownTotal, bulk.sent);
    words[AT_CLOCK] = host.clock / 2 ** 32;
    words[AT_CLOCK + 1] = host.clock;
    words[AT_REIGN] = host.reign;
    this.#dueMs = nowMs + (heard && (!this.confirmed || !bulk.done) ? STATE_OFTEN_MS : STATE_MS);
  }
}

const isEpoch = (epoch: Epoch, words: Uint32Array): boolean =>
  words[AT_EPOCH] === epoch.high && words[AT_EPOCH + 1] === epoch.low;
