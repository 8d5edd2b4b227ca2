/**
 * Whose a flow is in a node whose kernel follows its peer (`sync.apply = "live"`): that kernel has both nodes' flows, and only
 * this node's own may be announced. Between two ctsync nodes the claims say whose it is (replica-ownership.ts); here is what holds
 * towards other peers, and before a peer was heard.
 *
 *   an event that we did not cause   packets pass here: it is ours, whoever spoke of it before
 *   the peer's word                  it is the peer's, once keepalived told us that we are not primary; spoken before, it is
 *                                    from then on, unless the flow moved here since
 *   an entry of a dump               the peer's if the external cache has it, else ours; while nobody knows what the peer has,
 *                                    it is *held*: kept, and announced to nobody
 *
 * Ours are the flows of the internal cache that are not held (decisions of src/cache).
 */
import { isAnotherEntry } from "./cache/another-entry.ts";
import type { ApplyQueue } from "./cache/apply-queue.ts";
import { DEAD } from "./cache/internal.ts";
import { Flow, HAS_MASTER } from "./flow/flow.ts";
import type { Entry, Replica } from "./replica.ts";

export class Live {
  readonly queue: ApplyQueue;
  /** It is not known yet what the peer has: entries of a dump are held. */
  holding = true;
  /** Entries that stood before we came, and that the peer named. */
  peersFound = 0;
  /** Flows of the peers that have become ours, in all takeovers. */
  adopted = 0;
  readonly #replica: Replica;
  readonly #kernels = new Flow();
  readonly #peers = new Flow();

  constructor(replica: Replica, queue: ApplyQueue) {
    this.#replica = replica;
    this.queue = queue;
  }

  /** keepalived has not said who is primary, nor has the peer: a flow that it names, and that we found, may be in use here. */
  get inDoubt(): boolean {
    const { role, sessions } = this.#replica;
    return role === "unknown" && !sessions.some((session) => session.peerRole === "master");
  }

  /** The peer told of a flow, which the external cache has now. */
  heard(flow: Flow, peer: number, nowMs: number): void {
    const { internal, external, expectations, sessions } = this.#replica;
    if (flow.has(HAS_MASTER) && !this.queue.stands(external.toldSlot)) expectations.fulfilled(flow);
    if (internal.count + internal.deadCount === 0) return;
    const slot = internal.find(flow);
    if (slot < 0) return;
    const theirs = external.toldSlot;
    if (!this.queue.active) {
      if (!sessions[peer].isSettled(slot)) external.movedHere(theirs); // The peer spoke before it had heard of that.
    } else if (this.#goes(slot, peer)) this.#give(slot, theirs, nowMs);
  }

  /** Packets of the flow pass here. What a peer told of it is older. */
  moved(flow: Flow): void {
    const { external } = this.#replica;
    const theirs = external.count === 0 ? -1 : external.find(flow);
    if (theirs >= 0) external.movedHere(theirs);
  }

  /**
   * This node has stepped down, and its kernel begins to follow the peer's flow in slot `theirs`. The peer may have named it before
   * our own keepalived said so: a new primary is quick.
   */
  follow(theirs: number, nowMs: number): void {
    const { internal, external } = this.#replica;
    this.queue.found(theirs, false);
    if (internal.count > 0 && !external.hasMovedHere(theirs)) {
      external.read(theirs, this.#kernels, nowMs);
      const slot = internal.find(this.#kernels);
      if (slot >= 0 && this.#goes(slot, external.peerOf(theirs))) this.#give(slot, theirs, nowMs);
    }
    this.queue.changed(theirs, nowMs);
  }

  /**
   * An entry of a dump was stored in `slot` of the internal cache. A new one is held as long as it is not known whose it is: not
   * one that the peer has with a lower claim, nor in the slot of a flow that died, which the peers' queues hold already. True if
   * it was held, and is held no more.
   */
  stored(slot: number, flow: Flow, isNew: boolean, claims: boolean): boolean {
    const { internal, external } = this.#replica;
    if (this.holding && isNew && !claims && external.find(flow) < 0) internal.hold(slot);
    if (!claims || !internal.isHeld(slot)) return false;
    internal.announce(slot);
    return true;
  }

  /** Whether an entry of a dump is the peer's, or was until now and is about to be deleted. Of what we did not put there claims decide. */
  isPeers(flow: Flow): boolean {
    const { external, sessions } = this.#replica;
    if (!this.queue.active || (external.count === 0 && this.queue.withdrawing === 0) || this.isOurs(flow)) return false;
    const slot = external.find(flow);
    if (slot < 0) return this.queue.isWithdrawn(flow);
    return this.queue.stands(slot) || !sessions[external.peerOf(slot)].extended;
  }

  /** An entry of a dump was found to be the peer's. */
  foundPeers(flow: Flow, nowMs: number): void {
    if (this.holding) this.peersFound++;
    const slot = this.#replica.external.find(flow);
    if (slot >= 0) this.#compare(flow, slot, true, nowMs);
  }

  /**
   * An entry of a dump that is not ours, and cannot become what the peer has of its tuple: it goes, and that is made anew. The
   * peer's word took it from us while this node was primary still, when nobody held it to what stands here.
   */
  replaces(flow: Flow, nowMs: number): boolean {
    const { external } = this.#replica;
    if (!this.queue.active || external.count === 0 || this.isOurs(flow)) return false;
    const slot = external.find(flow);
    if (slot < 0) return false;
    external.read(slot, this.#peers, nowMs);
    if (!isAnotherEntry(flow.words, this.#peers.words)) return false;
    this.queue.instead(slot, flow.words, this.inDoubt, nowMs);
    return true;
  }

  /** Whether the kernel's entry is nothing that the peer decides on. */
  isOurs(flow: Flow): boolean {
    const { internal } = this.#replica;
    if (internal.count === 0) return false;
    const slot = internal.find(flow);
    return slot >= 0 && internal.lifeOf(slot) !== DEAD && !internal.isHeld(slot);
  }

  /** The kernel's entry ended, by its timer or by somebody else's hand. */
  ended(flow: Flow, nowMs: number): void {
    const { external } = this.#replica;
    if (!this.queue.active || external.count === 0) return;
    const slot = external.find(flow);
    if (slot >= 0) this.queue.lost(slot, nowMs);
  }

  /**
   * This node takes over: an entry of a dump is its own, whoever told of it first. It is in the internal cache now, and leaves the
   * external one: at once, or when a ctsync peer that is there withdraws it. That one would send again what is missing here.
   * Another peer would not: what it told of since nothing is applied any more stays until it says that it ended.
   */
  adopt(flow: Flow, nowMs: number): Entry {
    const { internal, external, ownership, sessions } = this.#replica;
    const theirs = external.find(flow);
    const entry = this.#replica.kernelEntry(flow, nowMs, true);
    if (theirs < 0 || entry === "full") return entry;
    ownership.adopted(theirs);
    const peer = external.peerOf(theirs);
    const session = sessions[peer];
    if (entry === "known" && !session.extended) this.#sayAgain(internal.find(flow), peer);
    const withdraws = session.extended && session.peerState(nowMs) === "connected";
    if (external.wasToldSince(theirs)) return entry;
    if (!external.wasAdopted(theirs)) this.adopted++;
    if (withdraws) external.adopted(theirs);
    else external.remove(theirs);
    return entry;
  }

  /** Both announced the flow in `slot`, and the peer forgot that we do when it took over. */
  #sayAgain(slot: number, peer: number): void {
    this.#replica.internal.renew(slot, peer);
    this.#replica.sessions[peer].found(slot);
  }

  /**
   * What the peer has is known by now. What the held flow in `slot` is: the peer's, ours, *left over* from what the peer had once,
   * where we are surely not primary, or in doubt. The last two are still held: a flow that is left over until its entry ends, or
   * until the peer has another one in its place.
   */
  settle(slot: number, nowMs: number): "peers" | "ours" | "left over" | "in doubt" {
    const { internal, external, role } = this.#replica;
    const theirs = this.queue.active ? external.find(this.#read(slot, nowMs)) : -1;
    if (theirs >= 0) {
      this.#give(slot, theirs, nowMs);
      return "peers";
    }
    if (role !== "master" && !this.#peerIsBackup) {
      if (!this.inDoubt) return "left over";
      // Of a primary's flows its peer names few, of a backup's nearly all.
      if (this.peersFound > internal.count) return "in doubt";
    }
    this.release(slot);
    return "ours";
  }

  /** The held flow in `slot` is ours: the peers hear of it. */
  release(slot: number): void {
    this.#replica.internal.announce(slot);
    for (const session of this.#replica.sessions) session.changed(slot);
  }

  /** Whether the peer's word takes the flow in `slot` of the internal cache from us. */
  #goes(slot: number, peer: number): boolean {
    const { internal, role, sessions } = this.#replica;
    if (internal.lifeOf(slot) === DEAD || internal.isHeld(slot)) return true;
    // Between two ctsync nodes the claims have decided.
    return role !== "unknown" && role !== "master" && !sessions[peer].extended;
  }

  /** We were restarted, and the peer says that it is not primary: its flows are left over from when it was. */
  get #peerIsBackup(): boolean {
    const { role, sessions } = this.#replica;
    return (
      role === "unknown" && sessions.some((session) => session.peerRole !== "unknown" && session.peerRole !== "master")
    );
  }

  #read(slot: number, nowMs: number): Flow {
    this.#replica.internal.read(slot, this.#kernels, nowMs);
    return this.#kernels;
  }

  #give(slot: number, theirs: number, nowMs: number): void {
    const held = this.#replica.internal.isHeld(slot);
    if (held) this.peersFound++;
    this.#compare(this.#read(slot, nowMs), theirs, held, nowMs);
    this.#replica.withdraw(slot);
  }

  /** The kernel has `entry`; the peer's flow in slot `theirs` is to stand in its place. */
  #compare(entry: Flow, theirs: number, found: boolean, nowMs: number): void {
    const { queue } = this;
    this.#replica.external.read(theirs, this.#peers, nowMs);
    const doubtful = found && this.inDoubt;
    if (isAnotherEntry(entry.words, this.#peers.words)) queue.instead(theirs, entry.words, doubtful, nowMs);
    else if (!queue.stands(theirs)) queue.found(theirs, doubtful);
  }
}
