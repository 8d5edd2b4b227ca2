/**
 * The replica as one of its extended sessions sees it: what this peer was told, what it told, and how both are held equal.
 */
import { Digest } from "./cache/digest.ts";
import type { Expectation } from "./flow/expectation.ts";
import type { Replica } from "./replica.ts";
import { Walk } from "./replica-walk.ts";
import { Checker, isForChecker } from "./sync/checker.ts";
import { isForPreparation, Preparation } from "./sync/preparation.ts";
import type { Proof } from "./sync/proof.ts";
import { Prover } from "./sync/prover.ts";
import type { ExtensionHost, ExtensionPort, NodeRole, Session } from "./sync/session.ts";
import type { ExtensionMessage } from "./wire/extension.ts";

export class PeerHost implements ExtensionHost {
  /**
   * The flows and expectations of the internal caches as they were last sent to this peer, and those of the external caches
   * that are its own. Slots of expectations follow those of the flows.
   */
  readonly told: Digest;
  readonly heard: Digest;
  /** When the timer of each flow told runs out, in seconds of the clock. */
  readonly toldExpiry: Uint32Array;
  /** Of a planned handover, to either side. */
  readonly preparation: Preparation;
  readonly #replica: Replica;
  readonly #peer: number;
  readonly #prover: Prover;
  readonly #walk: Walk;
  readonly #checker: Checker;
  readonly #session: Session;

  /** `restMs`: how long nothing is compared after the internal cache was emptied. */
  constructor(replica: Replica, peer: number, session: Session, port: ExtensionPort, restMs: number) {
    const { internal, external, expectations } = replica;
    const slots = [internal.flowsMax, expectations.internal.slotsMax] as const;
    this.#replica = replica;
    this.#peer = peer;
    this.#session = session;
    this.preparation = new Preparation(port);
    this.told = new Digest(...slots);
    this.heard = new Digest(...slots);
    this.toldExpiry = new Uint32Array(internal.flowsMax);
    external.watch(peer, this.heard);
    expectations.external.watch(peer, this.heard);
    const resend = (slot: number): void => {
      if (expectations.isOurs(slot)) {
        expectations.renew(slot - expectations.firstSlot, peer);
        return;
      }
      internal.renew(slot, peer);
      session.changed(slot);
    };
    const repair = (slot: number): void => {
      replica.counters.proof.repaired++;
      resend(slot);
    };
    this.#prover = new Prover(this.told, port, repair, restMs);
    this.#walk = new Walk(replica, this, session, port, resend);
    const held = (): number => external.countOf(peer) + expectations.external.countOf(peer);
    const withdraw = (slot: number): void =>
      expectations.isOurs(slot) ? expectations.external.remove(slot - expectations.firstSlot) : external.remove(slot);
    this.#checker = new Checker(this.heard, held, port, withdraw, () => session.request(), replica.counters.proof);
  }

  get role(): NodeRole {
    return this.#replica.role;
  }

  get flows(): number {
    return this.#replica.internal.count;
  }

  get isFull(): boolean {
    return this.#session.dirt.has("external-full");
  }

  get clock(): number {
    return this.#replica.ownership.clock;
  }

  get reign(): number {
    return this.#replica.ownership.reigning.number;
  }

  heardClock(clock: number, reign: number): void {
    this.#replica.ownership.heardClock(this.#peer, clock, reign, this.#session.peerRole);
  }

  /** Of the external cache and what the peer told. */
  get held(): Proof {
    return this.#checker.proof;
  }

  /** Of the peer's external cache and what it was told. */
  get proof(): Proof {
    return this.#prover.proof;
  }

  prove(): void {
    this.#prover.prove();
  }

  /** The flow in `slot` is sent as `words` now; undefined: as ended. */
  sent(slot: number, words: Uint32Array | undefined): void {
    if (words === undefined) {
      this.told.forget(slot);
      return;
    }
    this.told.set(slot, words);
    this.toldExpiry[slot] = this.#replica.internal.expiresSeconds(slot);
  }

  sentExpectation(slot: number, expectation: Expectation | undefined): void {
    if (expectation === undefined) this.told.forget(slot);
    else this.told.setExpectation(slot, expectation);
  }

  tick(nowMs: number): void {
    this.#walk.tick(nowMs);
  }

  /** The internal cache was emptied. */
  flushed(): void {
    this.#prover.flushed();
  }

  reborn(): void {
    this.#prover.reborn();
    this.#checker.reborn();
    this.preparation.reborn();
  }

  hear(message: ExtensionMessage, seq: number, nowMs: number): void {
    if (isForPreparation(message)) this.preparation.hear(message);
    else if (isForChecker(message)) this.#checker.hear(message, seq, nowMs);
    else this.#prover.hear(message);
  }

  next(message: ExtensionMessage, seq: number, nowMs: number): boolean {
    return (
      this.preparation.next(message, nowMs) || this.#checker.next(message) || this.#prover.next(message, seq, nowMs)
    );
  }

  nextDueMs(mayAsk: boolean): number {
    return mayAsk ? Math.min(this.preparation.dueMs, this.#prover.dueMs, this.#walk.dueMs) : this.#walk.dueMs;
  }
}
