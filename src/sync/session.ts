/**
 * What every synchronisation mode offers to the replica: one session is the state towards one peer.
 *
 * A session sees slots of the internal cache and sequence numbers, never flows or bytes: what is sent of a slot is read
 * from the cache at the moment of sending, so a repeated message carries the flow's newest state.
 */

import type { ExtensionMessage } from "../wire/extension.ts";
import type { Dirt, DirtyReason } from "./dirt.ts";

/** What becomes of a received message: its content is used, or it is dropped, counted under the name given. */
export type Verdict = "deliver" | "late" | "badHeader";
/** What `transmit` decided: see `Outgoing` for the rest. */
export type Sending = "nothing" | "data" | "control" | "extension";
export type PeerState = "handshake" | "connected" | "silent";
/** What keepalived made of a node, as the node itself says. */
export type NodeRole = "unknown" | "master" | "backup" | "fault" | "stop";

/** One life of a node: 64 random bits, drawn when it starts. */
export interface Epoch {
  readonly high: number;
  readonly low: number;
}

/** The caches behind a session, by slot. */
export interface SlotOwner {
  /** One past the highest slot there can be. */
  readonly slotsMax: number;
  /** The first live slot from `from` on, or -1. */
  nextLive(from: number): number;
  /** The peer has acknowledged the newest state of the flow in `slot`. */
  release(slot: number): void;
}

/** How far a bulk of the peer has come. */
export interface BulkProgress {
  readonly sent: number;
  /** Flows that the peer had when it began. */
  readonly total: number;
  readonly sending: boolean;
  /** All of it was acknowledged. */
  readonly arrived: boolean;
}

/** The node behind an extended session. */
export interface ExtensionHost {
  readonly role: NodeRole;
  /** Flows of the internal cache. */
  readonly flows: number;
  /** A flow of this peer found no room in the external cache. */
  readonly isFull: boolean;
  /** What the claims of this node are counted by, and the same of the peer. */
  readonly clock: number;
  readonly reign: number;
  heardClock(clock: number, reign: number): void;
  /** A new life of the peer begins, or may: it has nothing of ours, and what it told before counts as the dead life's. */
  reborn(): void;
  /** A message of the peer that is not about itself. */
  hear(message: ExtensionMessage, seq: number, nowMs: number): void;
  /** Fills in the next message to send; false when there is none. */
  next(message: ExtensionMessage, seq: number, nowMs: number): boolean;
  /** When there may be one, if `mayAsk`, and when it has something else to do in `Replica.tick`. */
  nextDueMs(mayAsk: boolean, nowMs: number): number;
}

/** What an extended session offers beside. */
export interface ExtensionPort {
  /** The message that `transmit` decided on. */
  readonly outgoing: ExtensionMessage;
  /** Tells the session whom it speaks for. */
  attach(host: ExtensionHost): void;
  /** As `Session.receive`, of an extension message; null when its subtype is unknown. */
  receive(message: ExtensionMessage | null, flags: number, seq: number, nowMs: number): Verdict;
  /** Both nodes know each other's life, and flows may be sent. */
  readonly acquainted: boolean;
  /** The peer must have received everything from this number on to have the newest state sent of each flow. */
  readonly unsettledFrom: number;
  /** Everything of the peer from this number on was received and understood. */
  readonly unbrokenFrom: number;
  /** The newest state of the flow in `slot` was acknowledged. */
  isSettled(slot: number): boolean;
  readonly bulkRunning: boolean;
  readonly ownEpoch: Epoch;
  /** The low half of the peer's epoch, 0 until it is known. */
  readonly peerEpochLow: number;
  /** The peer's external cache had no room for a flow of ours. */
  readonly peerIsFull: boolean;
}

/** The message that `transmit` decided on. */
export interface Outgoing {
  seq: number;
  flags: number;
  /** Slot of a data message. */
  slot: number;
  /** Range of a control message. */
  from: number;
  to: number;
}

export interface Session {
  readonly outgoing: Readonly<Outgoing>;
  /** The peer is a ctsync node on a sealed channel: it may be sent what conntrackd cannot read, extension messages among it. */
  readonly extended: boolean;
  /** What an extended peer said of itself: capability bits, its life, its role. Until then 0, null and unknown. */
  readonly peerCapabilities: number;
  readonly peerEpoch: Epoch | null;
  readonly peerRole: NodeRole;
  /** The peer's newest bulk; null: none that it told of. */
  readonly bulkProgress: BulkProgress | null;
  readonly extension: ExtensionPort | undefined;
  /** Why the peer may not have what it should; null: nothing is known to be amiss. */
  readonly dirty: DirtyReason | null;
  readonly dirt: Dirt;
  /** The flow in `slot` changed, began or ended: the peer must be told. */
  changed(slot: number): void;
  /** A dump showed the flow in `slot`: the peer must be told, after what changes now. */
  found(slot: number): void;
  /** It must be told still, and waits for what changes. */
  isPostponed(slot: number): boolean;
  /** The peer has acknowledged the newest state of the flow in `slot`, or was never told of it. */
  isSettled(slot: number): boolean;
  /** Judges a received message, of which header and range are given, and does what a control message asks. */
  receive(type: number, flags: number, seq: number, from: number, to: number, nowMs: number): Verdict;
  /** A message came under this number whose content nobody can read. */
  unreadable(seq: number, nowMs: number): void;
  /** Lets time pass: what is due is queued. */
  tick(nowMs: number): void;
  /** When `tick` has something to do next. */
  nextDueMs(nowMs: number): number;
  /** Takes the next message to send and fills `outgoing`. */
  transmit(nowMs: number): Sending;
  /** Sends every live flow, once more. */
  bulk(): void;
  /** False while a bulk has not wholly arrived. */
  readonly bulkDone: boolean;
  /** Asks the peer for every flow. */
  request(): void;
  /** False while something that was asked of the peer has not wholly arrived. */
  readonly requestDone: boolean;
  /** How often the peer was asked for every flow, and up to which of these times all of its answer has come. */
  readonly requests: number;
  readonly requestsAnswered: number;
  /** Forgets the slots that `keep` refuses: they go to the peer no more. */
  retain(keep: (slot: number) => boolean): void;
  peerState(nowMs: number): PeerState;
  readonly heardMs: number;
  /** Messages sent that await their acknowledgement; flows that wait to be sent. */
  readonly unacknowledged: number;
  /** Of these, flows: two idle nodes whose acknowledgements cross always have one on its way. */
  readonly inFlight: number;
  readonly queued: number;
  /** How long the oldest change has waited to be sent or acknowledged, about; 0 when none waits. */
  lagMs(nowMs: number): number;
  readonly counters: Readonly<Record<string, number>>;
}
