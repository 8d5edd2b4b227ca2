/**
 * Cleans a peer that is dirty. An extended peer is clean once a comparison that began later found both caches equal; the
 * comparisons repair what differs. Any other peer is asked for everything and sent everything, half a minute apart at most.
 *
 *   internal-full       ends when a whole reading of the kernel's table found room (`Replica.kernelRead`)
 *   peer-full           ends when the peer says so
 *   destroys-forgotten  of a peer that is not extended: ends with its life, since nothing can tell it what to forget
 */
import type { PeerHost } from "./replica-peer.ts";
import type { DirtyReason } from "./sync/dirt.ts";
import type { Session } from "./sync/session.ts";

const REPAIR_MS = 30_000;
/** So long nothing was dropped: what is asked now is not dropped too. */
const CALM_MS = 1_000;

export class Repair {
  readonly #session: Session;
  readonly #host: PeerHost | undefined;
  #nextMs = 0;
  #request = 0;
  /** Lives that the peer had begun when ends were first forgotten; -1: none are. */
  #lives = -1;

  constructor(session: Session, host: PeerHost | undefined) {
    this.#session = session;
    this.#host = host;
  }

  /** `hasRoom`: the external cache can take another flow. */
  tick(hasRoom: boolean, nowMs: number): void {
    const { dirt } = this.#session;
    if (dirt.reason === null) return;
    if (this.#host !== undefined) this.#byProof(this.#host, nowMs);
    else this.#byAsking(hasRoom, nowMs);
  }

  #byProof(host: PeerHost, nowMs: number): void {
    const { dirt, extension } = this.#session;
    const told = host.proof.equalMs;
    const heard = host.held.equalMs;
    if (extension?.peerIsFull === false) dirt.settle("peer-full");
    if (told > dirt.sinceMs("destroys-forgotten")) dirt.settle("destroys-forgotten");
    if (heard > dirt.sinceMs("external-full")) dirt.settle("external-full");
    if (Math.min(told, heard) > dirt.sinceMs("control-dropped")) dirt.settle("control-dropped");
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + REPAIR_MS;
    host.prove();
  }

  #byAsking(hasRoom: boolean, nowMs: number): void {
    const session = this.#session;
    const { dirt } = session;
    if (dirt.has("destroys-forgotten")) {
      const lives = session.counters.peerRestarts ?? 0;
      if (this.#lives < 0) this.#lives = lives;
      else if (lives !== this.#lives) {
        this.#lives = -1;
        dirt.settle("destroys-forgotten");
      }
    }
    if (this.#request > 0 && session.requestsAnswered >= this.#request && session.bulkDone) {
      this.#request = 0;
      dirt.settle("external-full");
      dirt.settle("control-dropped");
    }
    const isOld = (reason: DirtyReason): boolean => nowMs - dirt.sinceMs(reason) >= CALM_MS;
    const wants = isOld("control-dropped") || (isOld("external-full") && hasRoom);
    if (!wants || nowMs < this.#nextMs || session.peerState(nowMs) !== "connected") return;
    this.#nextMs = nowMs + REPAIR_MS;
    if (dirt.has("control-dropped")) session.bulk();
    session.request();
    this.#request = session.requests;
  }
}
