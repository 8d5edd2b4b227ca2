/** The parts of a replica with an eye on them: they do what they always do, and a broken invariant throws. */
import { Flow } from "../../src/flow/flow.ts";
import type { Replica } from "../../src/replica.ts";
import type { Extension } from "../../src/sync/extended.ts";
import type { Ftfw, FtfwLimits } from "../../src/sync/ftfw.ts";
import type { Sending, Session, SlotOwner } from "../../src/sync/session.ts";
import { GHOSTS } from "./damage.ts";
import { describeFlow, idOf, VERSION } from "./digest.ts";
import { Violation } from "./violation.ts";

export type SessionClass = new (
  limits: FtfwLimits,
  firstSeq: number,
  owner: SlotOwner,
  where: string,
  extension?: Extension,
) => Session;

/** Flows on their way: sent, and neither acknowledged nor changed nor lost since. */
class Flight {
  readonly #isOnItsWay: Uint8Array;
  readonly #limits: FtfwLimits;
  readonly #where: string;
  #count = 0;
  #resent = 0;

  constructor(limits: FtfwLimits, slotsMax: number, where: string) {
    this.#limits = limits;
    this.#where = where;
    this.#isOnItsWay = new Uint8Array(slotsMax);
  }

  watching(owner: SlotOwner): SlotOwner {
    return {
      slotsMax: owner.slotsMax,
      nextLive: (from) => owner.nextLive(from),
      release: (slot) => {
        this.leaves(slot);
        owner.release(slot);
      },
    };
  }

  leaves(slot: number): void {
    this.#count -= this.#isOnItsWay[slot];
    this.#isOnItsWay[slot] = 0;
  }

  retain(keep: (slot: number) => boolean): void {
    for (let slot = 0; slot < this.#isOnItsWay.length; slot++)
      if (this.#isOnItsWay[slot] && !keep(slot)) this.leaves(slot);
  }

  /** What counts as lost is not told from outside; that something does, a counter says, and counting begins anew. */
  enters(slot: number, session: Session): void {
    this.#count += 1 - this.#isOnItsWay[slot];
    this.#isOnItsWay[slot] = 1;
    if (this.#count <= this.#limits.inFlightMax) return;
    const { resent } = session.counters;
    if (resent === this.#resent)
      throw new Violation(
        "window",
        `${this.#where}: ${this.#count} flows on their way, not ${this.#limits.inFlightMax}`,
      );
    this.#resent = resent;
    this.#isOnItsWay.fill(0);
    this.#isOnItsWay[slot] = 1;
    this.#count = 1;
  }
}

export function watchedSession(Session: typeof Ftfw): SessionClass {
  return class Watched extends Session {
    readonly #flight: Flight;

    constructor(limits: FtfwLimits, firstSeq: number, owner: SlotOwner, where: string, extension?: Extension) {
      const flight = new Flight(limits, owner.slotsMax, where);
      super(limits, firstSeq, flight.watching(owner), extension);
      this.#flight = flight;
    }

    override changed(slot: number): void {
      this.#flight.leaves(slot);
      super.changed(slot);
    }

    override found(slot: number): void {
      this.#flight.leaves(slot);
      super.found(slot);
    }

    override retain(keep: (slot: number) => boolean): void {
      this.#flight.retain(keep);
      super.retain(keep);
    }

    override transmit(nowMs: number): Sending {
      const sending = super.transmit(nowMs);
      if (sending === "data") this.#flight.enters(this.outgoing.slot, this);
      return sending;
    }
  };
}

/** Makes the external cache refuse to go backwards: of what one peer tells of a flow, nothing older replaces newer. */
export function watchExternal(replica: Replica, where: string): void {
  const { external } = replica;
  const { create, update, destroy, clear } = external;
  const newest = new Map<number, number>();
  const stored = new Flow();
  const told = (flow: Flow, peer: number, what: string): void => {
    const key = idOf(flow.words) * 8 + peer;
    const version = flow.words[VERSION];
    const known = newest.get(key) ?? 0;
    if (version < known)
      throw new Violation(
        "newer-stays",
        `${where}: peer ${peer} told version ${known}, then ${what} ${describeFlow(flow)}`,
      );
    newest.set(key, version);
  };
  external.create = (flow, nowMs, peer = 0) => {
    told(flow, peer, "NEW");
    return create.call(external, flow, nowMs, peer);
  };
  external.update = (flow, nowMs, peer = 0) => {
    told(flow, peer, "UPDATE");
    return update.call(external, flow, nowMs, peer);
  };
  external.destroy = (flow) => {
    const slot = external.find(flow);
    if (slot >= 0) {
      external.read(slot, stored, 0);
      const isGhost = idOf(flow.words) >= GHOSTS; // Its version is what damage made of it.
      if (!isGhost && stored.words[VERSION] > flow.words[VERSION])
        throw new Violation("newer-stays", `${where}: ${describeFlow(stored)} ended by DESTROY ${describeFlow(flow)}`);
    }
    return destroy.call(external, flow);
  };
  external.clear = () => {
    newest.clear();
    clear.call(external);
  };
}
