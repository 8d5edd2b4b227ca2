/**
 * External cache: the flows a peer announced, waiting to be committed when this node takes over.
 *
 * CT_NEW replaces what was known of a flow, CT_UPDATE is laid over it, CT_DESTROY removes it; a flow first heard of in an
 * update is stored like a new one. The reply tuple is rebuilt from the original one and NAT after every change.
 * Source: conntrackd's synchronisation protocol, version 1, section 9.
 */
import { Flow, HAS, HAS_TIMEOUT, TIMEOUT } from "../flow/flow.ts";
import { overlay } from "../flow/merge.ts";
import { completeReply } from "../flow/reply.ts";
import { isAnotherEntry } from "./another-entry.ts";
import type { ApplyQueue } from "./apply-queue.ts";
import type { Digest } from "./digest.ts";
import { FlowTable } from "./flow-table.ts";
import type { FlowHash } from "./hash.ts";
import { remainingSeconds } from "./remaining.ts";
import { ReplyScan } from "./reply-scan.ts";

const PEERS_MAX = 8;

export class ExternalCache {
  readonly #table: FlowTable;
  readonly #createdSeconds: Uint32Array;
  readonly #updatedSeconds: Uint32Array;
  /** Which peer told of the flow last, and in which round (stale-entries.ts). */
  readonly #peerOf: Uint8Array;
  readonly #roundOf: Uint8Array;
  /** The round of each peer. After 255 it starts over: a flow of an old round may then pass for one of this. */
  readonly #rounds = new Uint8Array(PEERS_MAX);
  /** 1: told of since `beginTakeover`, and adopted since then or an earlier one that has not ended. */
  readonly #toldSince: Uint8Array;
  readonly #adopted: Uint8Array;
  /** 1: it moved in our kernel after it was told of last. */
  readonly #movedHere: Uint8Array;
  #takesOver = false;
  /** Times that a flow was told of since `beginTakeover`. */
  toldSince = 0;
  /** Flows by the peer that told of them last. */
  readonly #counts = new Uint32Array(PEERS_MAX);
  /** Digest of each peer's flows, where there is one. */
  readonly #digests: (Digest | undefined)[] = [];
  readonly #scratch = new Flow();
  /** Where the flow lies that was told of last. */
  toldSlot = -1;
  /** Hears of each slot that is given up. */
  onRemove: (slot: number) => void = () => {};
  readonly #before = new Flow();
  /** Hears of every change, where the kernel follows this cache. */
  readonly #queue: ApplyQueue | undefined;

  constructor(flowsMax: number, hash: FlowHash, queue?: ApplyQueue) {
    this.#queue = queue;
    this.#table = new FlowTable(flowsMax, hash);
    this.#createdSeconds = new Uint32Array(flowsMax);
    this.#updatedSeconds = new Uint32Array(flowsMax);
    this.#peerOf = new Uint8Array(flowsMax);
    this.#roundOf = new Uint8Array(flowsMax);
    this.#toldSince = new Uint8Array(flowsMax);
    this.#adopted = new Uint8Array(flowsMax);
    this.#movedHere = new Uint8Array(flowsMax);
  }

  /** What is here now will be committed. What peers tell of from here on may be something else, as two may be primary at once. */
  beginTakeover(): void {
    this.#takesOver = true;
    this.#toldSince.fill(0);
    this.toldSince = 0;
  }

  endTakeover(): void {
    this.#takesOver = false;
    this.#toldSince.fill(0);
    this.#adopted.fill(0);
  }

  /** Whether the flow in `slot` was told of since `beginTakeover`. */
  wasToldSince(slot: number): boolean {
    return this.#toldSince[slot] === 1;
  }

  /** The flow in `slot` is this node's own now, and leaves as soon as its peer withdraws it, or is dead. */
  adopted(slot: number): void {
    this.#adopted[slot] = 1;
  }

  /** Whether the flow in `slot` was adopted, and not told of again before `endTakeover`. */
  wasAdopted(slot: number): boolean {
    return this.#adopted[slot] === 1;
  }

  get count(): number {
    return this.#table.count;
  }

  get flowsMax(): number {
    return this.#table.flowsMax;
  }

  /** Flows that this peer told of last, whichever life of it. */
  countOf(peer: number): number {
    return this.#counts[peer];
  }

  find(flow: Flow): number {
    return this.#table.find(flow.words);
  }

  /** The same by the key words alone. */
  findTuple(tuple: Uint32Array): number {
    return this.#table.find(tuple);
  }

  /** To find flows by their reply tuples. */
  replyScan(): ReplyScan {
    return new ReplyScan(this.#table);
  }

  /** False when the cache is full and the flow is not in it. `peer`: who tells of it. */
  create(flow: Flow, nowMs: number, peer = 0): boolean {
    completeReply(flow.words);
    const slot = this.#table.place(flow.words);
    if (slot < 0) return false;
    if (this.#table.placed) this.#counts[peer]++;
    else {
      if (this.#queue?.stands(slot)) {
        this.#table.read(slot, this.#before);
        this.#compare(slot, flow.words);
      }
      this.#table.write(slot, flow.words);
      this.#counts[this.#peerOf[slot]]--;
      this.#counts[peer]++;
    }
    this.#createdSeconds[slot] = nowMs / 1000;
    this.#told(slot, flow.words, peer, nowMs);
    return true;
  }

  /** As `create`, but what was known and is not told again stays. */
  update(flow: Flow, nowMs: number, peer = 0): boolean {
    const slot = this.#table.find(flow.words);
    if (slot < 0) return this.create(flow, nowMs, peer);
    const known = this.#scratch;
    this.#table.read(slot, known);
    const stands = this.#queue?.stands(slot) === true;
    if (stands) this.#before.copyFrom(known);
    overlay(known.words, flow.words);
    completeReply(known.words);
    if (stands) this.#compare(slot, known.words);
    this.#table.write(slot, known.words);
    this.#counts[this.#peerOf[slot]]--;
    this.#counts[peer]++;
    this.#told(slot, known.words, peer, nowMs);
    return true;
  }

  /** False when the flow is not in the cache, or is what another peer told of since, if this one knows whose a flow is. */
  destroy(flow: Flow, peer = 0): boolean {
    const slot = this.#table.find(flow.words);
    if (slot < 0 || (this.#peerOf[slot] !== peer && this.#digests[peer] !== undefined)) return false;
    this.remove(slot);
    return true;
  }

  remove(slot: number): void {
    this.onRemove(slot);
    if (this.#queue?.active) {
      this.#table.read(slot, this.#before);
      this.#queue.removed(slot, this.#before.words);
    }
    this.#digests[this.#peerOf[slot]]?.forget(slot);
    this.#counts[this.#peerOf[slot]]--;
    this.#table.remove(slot);
  }

  /** The flow in `slot` has moved in our kernel, and nobody told of it since; or who told did not know that it had. */
  movedHere(slot: number): void {
    this.#movedHere[slot] = 1;
  }

  hasMovedHere(slot: number): boolean {
    return this.#movedHere[slot] === 1;
  }

  /** Forgets all. What the kernel has of them stays: whoever empties the cache after a commit wants it so. */
  clear(): void {
    this.#queue?.clear();
    this.#table.clear();
    this.#adopted.fill(0);
    this.#counts.fill(0);
    for (const digest of this.#digests) digest?.clear();
  }

  /** From now on `digest` counts the flows that this peer tells of. */
  watch(peer: number, digest: Digest): void {
    this.#digests[peer] = digest;
  }

  ageSeconds(slot: number, nowMs: number): number {
    return Math.max(0, Math.floor(nowMs / 1000) - this.#createdSeconds[slot]);
  }

  /** Unpacks the flow, its timeout lessened by the time since it was announced. */
  read(slot: number, flow: Flow, nowMs: number): void {
    this.#table.read(slot, flow);
    const words = flow.words;
    if ((words[HAS] & HAS_TIMEOUT) !== 0)
      words[TIMEOUT] = remainingSeconds(words[TIMEOUT], Math.floor(nowMs / 1000) - this.#updatedSeconds[slot]);
  }

  /** The first used slot from `from` on, or -1. */
  nextLive(from: number): number {
    return this.#table.nextUsed(from);
  }

  /** The first slot from `from` on of a flow with a helper, or -1. */
  nextHelped(from: number): number {
    return this.#table.nextHelped(from);
  }

  /** The peer that told of the flow in `slot` last. */
  peerOf(slot: number): number {
    return this.#peerOf[slot];
  }

  isUsed(slot: number): boolean {
    return this.#table.isUsed(slot);
  }

  /** One past the highest slot in use. */
  get slotsEnd(): number {
    return this.#table.end;
  }

  /** The peer is asked for all it has: what it tells of from now on is of a new round. */
  beginRound(peer: number): void {
    this.#rounds[peer]++;
  }

  /** Whether the peer told of the flow in `slot` last, and not in this round. */
  isStale(slot: number, peer: number): boolean {
    return this.#peerOf[slot] === peer && this.#roundOf[slot] !== this.#rounds[peer] && this.#table.isUsed(slot);
  }

  /** What the kernel has of the flow in `slot`, as it was, may be nothing that it can be changed into. */
  #compare(slot: number, words: Uint32Array): void {
    const before = this.#before.words;
    if (isAnotherEntry(before, words)) this.#queue?.replaced(slot, before);
  }

  #told(slot: number, words: Uint32Array, peer: number, nowMs: number): void {
    this.#queue?.changed(slot, nowMs);
    if (this.#digests.length > 0) {
      if (this.#peerOf[slot] !== peer) this.#digests[this.#peerOf[slot]]?.forget(slot);
      this.#digests[peer]?.set(slot, words);
    }
    this.toldSlot = slot;
    this.#movedHere[slot] = 0;
    this.#updatedSeconds[slot] = nowMs / 1000;
    if (this.#takesOver) {
      this.#toldSince[slot] = 1;
      this.#adopted[slot] = 0;
      this.toldSince++;
    }
    this.#peerOf[slot] = peer;
    this.#roundOf[slot] = this.#rounds[peer];
  }
}
