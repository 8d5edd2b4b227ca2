/**
 * Reliable mode (conntrackd's FTFW) towards one peer: the handshake, and what joins the receiving and the sending half.
 *
 * A node marks what it sends with HELLO until one HELLO_BACK arrives, and answers each HELLO in its next message. Data waits for
 * that handshake: before it, the peer would not notice a loss (D-001). A peer that greets after it had stopped greeting has
 * begun a new life: it is sent every flow, and asked for every flow (D-004).
 * Source: conntrackd's synchronisation protocol, version 1, section 13; where we go beyond it, DECISIONS.md says why.
 */
import { EXT } from "../wire/extension.ts";
import {
  CTL,
  EXP_DESTROY,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  FLAG_NACK,
  FLAG_RESYNC,
} from "../wire/header.ts";
import { Dirt, type DirtyReason } from "./dirt.ts";
import { Extended, type Extension } from "./extended.ts";
import { HeldAcks } from "./held-acks.ts";
import { Lag } from "./lag.ts";
import { Receiver } from "./receiver.ts";
import { Sender, type SenderLimits } from "./sender.ts";
import { isBefore } from "./serial.ts";
import type {
  BulkProgress,
  Epoch,
  NodeRole,
  Outgoing,
  PeerState,
  Sending,
  Session,
  SlotOwner,
  Verdict,
} from "./session.ts";

/** Silence after which we say that we are alive. */
const HEARTBEAT_MS = 1_000;
/** Silence after which the peer counts as gone. */
const SILENT_MS = 3_000;
/** A full window in which nothing was acknowledged for this long, though the peer is heard, is sent again. */
const STALLED_MS = 2_000;

export interface FtfwLimits extends SenderLimits {
  /** Received messages after which an acknowledgement is due. */
  readonly ackWindow: number;
}

export class Ftfw implements Session {
  readonly outgoing: Outgoing = { seq: 0, flags: 0, slot: 0, from: 0, to: 0 };
  readonly #counters = { nacksReceived: 0, stalls: 0, overdue: 0, peerRestarts: 0 };
  readonly #owner: SlotOwner;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly dirt = new Dirt();
  readonly #held = new HeldAcks();
  readonly #lag = new Lag();
  readonly extension: Extended | undefined;
  #hello: "init" | "say" | "done" = "init";
  #oweHelloBack = false;
  /** The last message of the peer said HELLO; nothing heard yet counts as that. */
  #peerGreets = true;
  #wantRequest = false;
  #requests = 0;
  #requestsAnswered = 0;
  #droppedBefore = 0;
  #droppedSeen = 0;
  #heardMs = Number.NEGATIVE_INFINITY;
  #flowHeardMs = Number.NEGATIVE_INFINITY;
  #sentMs = Number.NEGATIVE_INFINITY;
  #progressMs = 0;

  /** `extension`: the channel is sealed, so the peer is a ctsync node. */
  constructor(limits: FtfwLimits, firstSeq: number, owner: SlotOwner, extension?: Extension) {
    this.#owner = owner;
    this.#sender = new Sender(limits, firstSeq, owner);
    this.#receiver = new Receiver(limits.ackWindow, (flags, from, to) => this.#sender.ask(flags, from, to));
    if (extension === undefined) return;
    this.extension = new Extended(extension, {
      sender: this.#sender,
      receiver: this.#receiver,
      receive: (type, flags, seq, from, to, nowMs) => this.receive(type, flags, seq, from, to, nowMs),
      dirt: this.dirt,
      newLife: () => this.#newLife(false),
    });
  }

  get extended(): boolean {
    return this.extension !== undefined;
  }

  get dirty(): DirtyReason | null {
    return this.dirt.reason;
  }

  get peerCapabilities(): number {
    return this.extension?.acquaintance.capabilities ?? 0;
  }

  get peerEpoch(): Epoch | null {
    return this.extension?.acquaintance.epoch ?? null;
  }

  get peerRole(): NodeRole {
    return this.extension?.acquaintance.role ?? "unknown";
  }

  get bulkProgress(): BulkProgress | null {
    return this.extension?.acquaintance.bulk ?? null;
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...this.#sender.counters, ...this.#receiver.counters };
  }

  get unacknowledged(): number {
    return this.#sender.unacknowledged;
  }

  get inFlight(): number {
    return this.#sender.inFlight;
  }

  get queued(): number {
    return this.#sender.waiting;
  }

  lagMs(nowMs: number): number {
    return this.#lag.milliseconds(nowMs);
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  get bulkDone(): boolean {
    return this.#sender.bulk.done;
  }

  get requestDone(): boolean {
    return !this.#wantRequest && this.#sender.asked === 0;
  }

  get requests(): number {
    return this.#requests;
  }

  get requestsAnswered(): number {
    return this.#requestsAnswered;
  }

  peerState(nowMs: number): PeerState {
    if (nowMs - this.#heardMs > SILENT_MS) return "silent";
    return this.#hello === "done" ? "connected" : "handshake";
  }

  changed(slot: number): void {
    this.#sender.changed(slot);
  }

  found(slot: number): void {
    this.#sender.found(slot);
  }

  isPostponed(slot: number): boolean {
    return this.#sender.isPostponed(slot);
  }

  isSettled(slot: number): boolean {
    return this.#sender.isSettled(slot);
  }

  bulk(): void {
    this.#sender.bulk.begin();
  }

  request(): void {
    this.#requests++;
    this.#droppedBefore = this.#dropped;
    this.extension?.acquaintance.asking();
    if (this.#hello === "done") this.#sender.ask(FLAG_RESYNC, 0, 0);
    else this.#wantRequest = true;
  }

  retain(keep: (slot: number) => boolean): void {
    this.#sender.retain(keep);
    this.#held.defer(this.#sender.data.end);
  }

  receive(type: number, flags: number, seq: number, from: number, to: number, nowMs: number): Verdict {
    if (!wellFormed(type, flags, from, to, this.extended)) return "badHeader";
    this.#heardMs = nowMs;
    const greets = (flags & FLAG_HELLO) !== 0;
    if (flags & FLAG_HELLO_BACK && this.#hello === "say") this.#handshakeDone();
    const arrival = greets ? this.#receiver.greeting(seq, nowMs) : this.#receiver.arrival(seq, nowMs);
    if (arrival === "late") return "late";
    if (greets) this.#hearHello();
    else this.#peerGreets = false;
    if (arrival === "astray" && !greets) this.#newLife(false);
    if (type <= EXP_DESTROY) this.#flowHeardMs = nowMs;
    const hold = type === CTL && this.#obey(flags, seq, from, to, nowMs);
    this.#receiver.accept(seq, arrival, hold, nowMs);
    return "deliver";
  }

  unreadable(seq: number, nowMs: number): void {
    this.#receiver.unreadable(seq, nowMs);
  }

  tick(nowMs: number): void {
    const answered = this.extension?.acquaintance.answered ?? true;
    if (this.requestDone && answered && this.#dropped === this.#droppedBefore) this.#requestsAnswered = this.#requests;
    this.extension?.tick();
    if (this.#dropped !== this.#droppedSeen) {
      this.#droppedSeen = this.#dropped;
      this.dirt.mark("control-dropped", nowMs);
    }
    this.#releaseHeld();
    this.#lag.look(this.#sender, nowMs);
    this.#unstall(nowMs);
    const answering = nowMs - this.#flowHeardMs < SILENT_MS;
    const sender = this.#sender;
    this.#counters.overdue += this.extended
      ? sender.repeatPassed(answering, nowMs)
      : sender.repeatOverdue(answering, nowMs);
    this.#counters.overdue += sender.repeatParked(answering, nowMs);
    if (nowMs >= this.#receiver.ackDueMs) this.#receiver.acknowledge();
    if (this.#sender.hasControl) return;
    const quiet = nowMs - this.#sentMs >= HEARTBEAT_MS;
    if (this.#oweHelloBack || (quiet && !this.#receiver.acknowledge())) this.#sender.say(FLAG_ALIVE, 0, 0);
  }

  nextDueMs(nowMs: number): number {
    if (this.#sender.hasControl || this.#oweHelloBack) return nowMs;
    const extensionDueMs = this.extension?.nextDueMs(nowMs) ?? Number.POSITIVE_INFINITY;
    return Math.min(this.#sentMs + HEARTBEAT_MS, this.#receiver.ackDueMs, extensionDueMs);
  }

  transmit(nowMs: number): Sending {
    this.#releaseHeld();
    const { outgoing } = this;
    const sender = this.#sender;
    if (!sender.hasControl && this.#hasExtension(nowMs)) {
      outgoing.seq = sender.pass();
      outgoing.flags = this.#greeting();
      this.#sentMs = nowMs;
      return "extension";
    }
    let slot = -1;
    if (!sender.hasControl && this.#hello === "done") {
      slot = sender.nextFlow();
      if (slot < 0) this.#releaseHeld(); // A bulk that was seen to end just now lets its acknowledgement go.
    }
    let sending: Sending = "data";
    if (slot >= 0) {
      outgoing.flags = 0;
      outgoing.slot = slot;
    } else if (sender.hasControl) {
      sending = "control";
      outgoing.flags = sender.nextControl();
      outgoing.from = sender.from;
      outgoing.to = sender.to;
    } else return "nothing";
    outgoing.seq = sender.lastSeq;
    outgoing.flags |= this.#greeting();
    this.#sentMs = nowMs;
    return sending;
  }

  #hasExtension(nowMs: number): boolean {
    const { extension } = this;
    return extension?.prepare(this.#hello === "done", nowMs - this.#heardMs <= SILENT_MS, nowMs) ?? false;
  }

  /** Control messages that gave way for want of room: a question among them is never answered. */
  get #dropped(): number {
    return this.#sender.counters.controlDropped + this.#sender.counters.questionsDropped;
  }

  #greeting(): number {
    let flags = 0;
    if (this.#hello !== "done") {
      flags |= FLAG_HELLO;
      this.#hello = "say";
    }
    if (this.#oweHelloBack) {
      flags |= FLAG_HELLO_BACK;
      this.#oweHelloBack = false;
    }
    return flags;
  }

  #hearHello(): void {
    this.#oweHelloBack = true;
    if (!this.#peerGreets) this.#newLife(true);
    else this.#sender.startOver();
    this.#peerGreets = true;
  }

  /** The peer has nothing of ours, and what we know of its flows may be out of date. */
  #newLife(greeted: boolean): void {
    this.#counters.peerRestarts++;
    this.extension?.reborn(greeted);
    this.#sender.startOver();
    this.#held.clear();
    this.#sender.bulk.begin();
    this.request();
  }

  #handshakeDone(): void {
    this.#hello = "done";
    if (!this.#wantRequest) return;
    this.#wantRequest = false;
    this.request();
  }

  /** Does what a control message asks. True when its acknowledgement must wait for the answer. */
  #obey(flags: number, seq: number, from: number, to: number, nowMs: number): boolean {
    if (flags & FLAG_ACK && this.#sender.acknowledged(from, to)) this.#progressMs = nowMs;
    if (flags & FLAG_NACK) {
      this.#counters.nacksReceived++;
      return this.#sender.missing(from, to) > 0 && this.#holdAck(seq, false);
    }
    if (flags & FLAG_RESYNC) {
      this.#sender.bulk.begin();
      return (this.#owner.nextLive(0) >= 0 || this.queued > 0) && this.#holdAck(seq, true);
    }
    return false;
  }

  #holdAck(seq: number, forBulk: boolean): boolean {
    // Without room for it an extended peer gets no acknowledgement, and asks again; an early one would be a lie (D-003).
    return this.#held.hold(seq, this.#sender.data.end, forBulk) || this.extended;
  }

  #releaseHeld(): void {
    if (this.#held.count === 0) return;
    const { data, bulk } = this.#sender;
    for (let seq = this.#held.release(data, bulk.running); seq >= 0; seq = this.#held.release(data, bulk.running))
      this.#sender.say(FLAG_ACK, seq, seq);
  }

  #unstall(nowMs: number): void {
    if (!this.#sender.windowFull || this.peerState(nowMs) !== "connected") this.#progressMs = nowMs;
    else if (nowMs - this.#progressMs >= STALLED_MS) {
      this.#counters.stalls++;
      this.#progressMs = nowMs;
      this.#sender.repeatAll();
    }
  }
}

/**
 * The number that a life begins with, from the wall clock: conntrackd counts from its seconds, so that a restart usually goes
 * on with a larger number. We count steps of 16 milliseconds: a daemon that is
 * restarted at once is past all the greetings of its last life.
 */
export const firstSequence = (unixMs: number): number => Math.floor(unixMs / 16) >>> 0;

/** A data or extension message with no flags but the greeting's, or a control message that says exactly one thing. */
function wellFormed(type: number, flags: number, from: number, to: number, extended: boolean): boolean {
  const bare = flags & ~(FLAG_HELLO | FLAG_HELLO_BACK);
  if (type <= EXP_DESTROY || (extended && type === EXT)) return bare === 0;
  if (type !== CTL) return false;
  if (bare === FLAG_ACK || bare === FLAG_NACK) return !isBefore(to, from);
  return bare === FLAG_RESYNC || bare === FLAG_ALIVE;
}
