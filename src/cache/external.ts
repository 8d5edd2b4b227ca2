/**
 * External cache: the flows a peer announced, waiting to be committed when this node takes over.
 *
 * CT_NEW replaces what was known of a flow, CT_UPDATE is laid over it, CT_DESTROY removes it; a flow first heard of in an
 * update is stored like a new one. The reply tuple is rebuilt from the original one and NAT after every change.
 * Source: conntrackd's synchronisation protocol, version 1, section 9.
 */
import { Flow, HAS, HAS_TIMEOUT, TIMEOUT } from "../flow/flow.ts";
import { overlay } from "../flow/merge.ts";
import { deriveReply } from "../flow/reply.ts";
import { FlowTable } from "./flow-table.ts";
import type { FlowHash } from "./hash.ts";
import { remainingSeconds } from "./remaining.ts";

export class ExternalCache {
  readonly #table: FlowTable;
  readonly #createdSeconds: Uint32Array;
  readonly #updatedSeconds: Uint32Array;
  readonly #scratch = new Flow();

  constructor(flowsMax: number, hash: FlowHash) {
    this.#table = new FlowTable(flowsMax, hash);
    this.#createdSeconds = new Uint32Array(flowsMax);
    this.#updatedSeconds = new Uint32Array(flowsMax);
  }

  get count(): number {
    return this.#table.count;
  }

  find(flow: Flow): number {
    return this.#table.find(flow.words);
  }

  /** False when the cache is full and the flow is not in it. */
  create(flow: Flow, nowMs: number): boolean {
    deriveReply(flow.words);
    let slot = this.#table.find(flow.words);
    if (slot >= 0) this.#table.write(slot, flow.words);
    else slot = this.#table.insert(flow.words);
    if (slot < 0) return false;
    this.#createdSeconds[slot] = nowMs / 1000;
    this.#updatedSeconds[slot] = nowMs / 1000;
    return true;
  }

  /** False when the cache is full and the flow is not in it. */
  update(flow: Flow, nowMs: number): boolean {
    const slot = this.#table.find(flow.words);
    if (slot < 0) return this.create(flow, nowMs);
    const known = this.#scratch;
    this.#table.read(slot, known);
    overlay(known.words, flow.words);
    deriveReply(known.words);
    this.#table.write(slot, known.words);
    this.#updatedSeconds[slot] = nowMs / 1000;
    return true;
  }

  /** False when the flow is not in the cache. */
  destroy(flow: Flow): boolean {
    const slot = this.#table.find(flow.words);
    if (slot < 0) return false;
    this.#table.remove(slot);
    return true;
  }

  remove(slot: number): void {
    this.#table.remove(slot);
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
}
