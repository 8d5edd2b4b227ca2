/**
 * Who announces a flow that two ctsync nodes have: the one whose kernel saw it move last (decisions of src/sync).
 *
 *   our kernel moves it     it is ours and announced, whoever announced it before
 *   a peer announces it     the peer's kernel moved it: ours is withdrawn, as if it had ended
 *   both at once            the node with the higher epoch keeps it, the other one withdraws
 *   it stands in a dump     it is ours unless a peer that is there announces it: a committed flow does not come back
 *
 * "At once" is what a peer announces while it has not acknowledged our own announcement: it may not know of it.
 */
import { DEAD } from "./cache/internal.ts";
import { Flow, HAS, HAS_NAT } from "./flow/flow.ts";
import { overlay } from "./flow/merge.ts";
import type { Replica } from "./replica.ts";
import type { PeerHost } from "./replica-peer.ts";
import type { Epoch, Session } from "./sync/session.ts";

export class Ownership {
  /** There are peers that know the rule. */
  readonly active: boolean;
  readonly #replica: Replica;
  readonly #sessions: readonly Session[];
  readonly #hosts: readonly (PeerHost | undefined)[];
  readonly #scratch = new Flow();
  #nowMs = 0;

  constructor(replica: Replica, sessions: readonly Session[], hosts: readonly (PeerHost | undefined)[]) {
    this.active = hosts.some((host) => host !== undefined);
    this.#replica = replica;
    this.#sessions = sessions;
    this.#hosts = hosts;
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** A peer announced the flow. */
  heard(flow: Flow, peer: number): void {
    const { internal, counters } = this.#replica;
    const port = this.#sessions[peer].extension;
    if (port === undefined || internal.count === 0) return;
    const slot = internal.find(flow);
    if (slot < 0 || internal.lifeOf(slot) === DEAD) return;
    const peerEpoch = this.#sessions[peer].peerEpoch;
    if (!port.isSettled(slot) && peerEpoch !== null && isHigher(port.ownEpoch, peerEpoch)) {
      this.#sessions[peer].changed(slot); // Said once more, after what the peer said: it may have heard the last time before.
      return;
    }
    counters.cache.yielded++;
    this.#replica.ended(slot);
  }

  /** Whether a flow of a dump is a peer's: the peer is there, and told of it in its present life, and we do not announce it. */
  isPeers(flow: Flow): boolean {
    const { internal, external } = this.#replica;
    const known = external.find(flow);
    if (known < 0) return false;
    const own = internal.find(flow);
    if (own >= 0 && internal.lifeOf(own) !== DEAD) return false;
    const peer = external.peerOf(known);
    const host = this.#hosts[peer];
    return host?.heard.has(known) === true && this.#sessions[peer].peerState(this.#nowMs) === "connected";
  }

  /**
   * A flow in `slot` became ours. Where a peer announced it, that is acknowledged first, so that the peer sees which was later; and
   * if an update made it ours, which says only what changed, the rest is what the peer told, from which it was committed.
   */
  claimed(slot: number, update: Flow, isWhole: boolean, nowMs: number): void {
    const { internal, external, counters } = this.#replica;
    const known = external.count === 0 ? -1 : external.find(update);
    if (known < 0) {
      if (!isWhole) counters.cache.halfKnown++;
      return;
    }
    this.#sessions[external.peerOf(known)].extension?.acknowledge();
    if (isWhole) return;
    const flow = this.#scratch;
    external.read(known, flow, nowMs);
    overlay(flow.words, update.words);
    flow.words[HAS] &= ~HAS_NAT;
    internal.rewrite(slot, flow);
  }
}

const isHigher = (a: Epoch, b: Epoch): boolean => a.high > b.high || (a.high === b.high && a.low > b.low);
