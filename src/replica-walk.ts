/**
 * A slow walk over both caches on behalf of one extended peer, all of them within ten seconds or so. It finds what nobody reports:
 *
 *   a flow whose timer the kernel has renewed, as a dump of its table shows, so that the peer's is out of date: sent again
 *   a flow of the internal cache that is not what the peer was last told, though nothing waits to be sent: sent again, as new
 *   a flow of the external cache that is not what the peer told: its digest is set right, and the next comparison repairs it
 *
 * The last two take a fault of ours or of the memory. They are looked for among expectations too, and beside them
 *
 *   an expectation of the internal cache whose master a peer announces now: it is the peer's, and withdrawn
 *
 * Refreshes are bounded in rate (decisions of src/sync).
 */
import { DEAD } from "./cache/internal.ts";
import { Flow } from "./flow/flow.ts";
import type { Replica } from "./replica.ts";
import type { PeerHost } from "./replica-peer.ts";
import type { ExtensionPort, Session } from "./sync/session.ts";

const WALK_MS = 10_000;
const SLOTS_AT_ONCE = 1_024;
const REFRESHES_PER_SECOND = 500;
/** The peer's idea of a timer may be off by this part of it, and by so many seconds. */
const TIMER_PART = 4;
const TIMER_SECONDS = 5;

export class Walk {
  readonly #replica: Replica;
  readonly #host: PeerHost;
  readonly #session: Session;
  readonly #port: ExtensionPort;
  readonly #resend: (slot: number) => void;
  readonly #flow = new Flow();
  #slot = 0;
  #tickMs = 0;
  #dueMs = 0;
  #allowance = 0;

  constructor(replica: Replica, host: PeerHost, session: Session, port: ExtensionPort, resend: (slot: number) => void) {
    this.#replica = replica;
    this.#host = host;
    this.#session = session;
    this.#port = port;
    this.#resend = resend;
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    const { internal, external, expectations } = this.#replica;
    const flowsEnd = Math.max(internal.slotsEnd, external.slotsEnd);
    const end = flowsEnd + Math.max(expectations.internal.slotsEnd, expectations.external.slotsEnd);
    const portion = Math.min(SLOTS_AT_ONCE, Math.max(end, 1));
    this.#dueMs = nowMs + (WALK_MS * portion) / Math.max(end, 1);
    const passedMs = Math.min(nowMs - this.#tickMs, 1_000);
    this.#tickMs = nowMs;
    this.#allowance = Math.min(this.#allowance + (passedMs * REFRESHES_PER_SECOND) / 1_000, REFRESHES_PER_SECOND);
    if (!this.#port.acquainted || this.#port.bulkRunning) return;
    if (this.#slot >= end) this.#slot = 0;
    const last = Math.min(this.#slot + portion, end);
    for (; this.#slot < last; this.#slot++) {
      if (this.#slot >= flowsEnd) this.#lookAtExpectation(this.#slot - flowsEnd, nowMs);
      else {
        this.#lookInside(this.#slot, nowMs);
        this.#lookOutside(this.#slot, nowMs);
      }
    }
  }

  #lookAtExpectation(slot: number, nowMs: number): void {
    const { expectations, counters } = this.#replica;
    const { internal, external, firstSlot } = expectations;
    const { told, heard } = this.#host;
    const at = firstSlot + slot;
    if (internal.isLive(slot)) {
      const expectation = internal.read(slot, nowMs);
      if (expectations.isPeers(expectation)) expectations.ended(slot);
      else if (this.#port.isSettled(at) && !told.matchesExpectation(at, expectation)) {
        counters.proof.untold++;
        this.#resend(at);
      }
    }
    if (!external.isUsed(slot) || !heard.has(at)) return;
    const known = external.read(slot, nowMs);
    if (heard.matchesExpectation(at, known)) return;
    counters.proof.damaged++;
    heard.setExpectation(at, known);
  }

  #lookInside(slot: number, nowMs: number): void {
    const { internal, counters } = this.#replica;
    if (!internal.isUsed(slot) || internal.lifeOf(slot) === DEAD || internal.isHeld(slot)) return;
    if (!this.#port.isSettled(slot)) return;
    internal.read(slot, this.#flow, nowMs);
    if (!this.#host.told.matches(slot, this.#flow.words)) {
      counters.proof.untold++;
      this.#resend(slot);
    } else if (this.#allowance >= 1 && isOff(this.#host.toldExpiry[slot], internal.expiresSeconds(slot), nowMs)) {
      this.#allowance--;
      counters.proof.refreshed++;
      this.#session.changed(slot);
    }
  }

  #lookOutside(slot: number, nowMs: number): void {
    const { external, counters } = this.#replica;
    const { heard } = this.#host;
    if (!external.isUsed(slot) || !heard.has(slot)) return;
    external.read(slot, this.#flow, nowMs);
    if (heard.matches(slot, this.#flow.words)) return;
    counters.proof.damaged++;
    heard.set(slot, this.#flow.words);
  }
}

/** Both in seconds of the clock, 0: no timer. A timer that ran out says nothing new of itself. */
function isOff(told: number, expires: number, nowMs: number): boolean {
  const left = expires - nowMs / 1_000;
  return left > 0 && Math.abs(expires - told) > Math.max(TIMER_SECONDS, left / TIMER_PART);
}
