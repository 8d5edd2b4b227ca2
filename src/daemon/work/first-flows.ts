/**
 * Flows that a takeover's commit takes first, because packets of theirs wait at the gate (D-031).
 *
 *   first.look()                               reads what was held meanwhile, and goes on with the walk for reply tuples
 *   while ((slot = first.next()) >= 0) …       slots of the external cache, masters before what is related to them
 *
 * A packet goes in its flow's original direction or in the reply's, and where the user's rules have translated its destination
 * already, it is the mirror of one of them. Where no flow is found, the packet waits for the commit's end, as all once did.
 */
import type { ExternalCache } from "../../cache/external.ts";
import { type ReplyScan, TUPLES_MAX } from "../../cache/reply-scan.ts";
import {
  Flow,
  HAS_MASTER,
  KEY_WORDS,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
} from "../../flow/flow.ts";
import { mirror } from "../../flow/reply.ts";
import { monotonicMs } from "../clock.ts";
import type { TupleSource } from "../held-tuples.ts";

/** Slots that are found and not taken yet: a master may go before each. */
const FOUND = 1_024;
/** A walk has this share of the commit's time and this much more, in which the commit waits for it; then they go on in turn. */
const CREDIT_MS = 50;
const SHARE = 0.25;
const WALK_MS = 2;
const WALK_MS_LATER = 0.5;
const SLOTS_PER_LOOK = 4_096;

export class FirstFlows {
  /** Flows that were taken. */
  taken = 0;
  readonly #packets: TupleSource;
  readonly #external: ExternalCache;
  readonly #replies: ReplyScan;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  #walkedMs = 0;
  readonly #tuple = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));
  readonly #found = new Uint32Array(new ArrayBuffer(FOUND * 4));
  #foundCount = 0;
  #nextFound = 0;
  readonly #flow = new Flow();
  readonly #master = new Flow();

  constructor(packets: TupleSource, external: ExternalCache, nowMs = monotonicMs) {
    this.#packets = packets;
    this.#external = external;
    this.#replies = external.replyScan();
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  look(): void {
    if (!this.#replies.isUnderWay) this.#read();
    if (this.#replies.isUnderWay) this.#walk();
  }

  /** The next slot, or -1: none for now. Its flow may have left it since. */
  next(): number {
    if (this.#nextFound < this.#foundCount) return this.#found[this.#nextFound++];
    this.#nextFound = 0;
    this.#foundCount = 0;
    return -1;
  }

  /** A packet's flow is looked for, and soon found: the others' turn can wait as well. */
  get isWaiting(): boolean {
    return this.#replies.isUnderWay && this.#walkedMs < CREDIT_MS + (this.#nowMs() - this.#startMs) * SHARE;
  }

  get #hasRoom(): boolean {
    return this.#foundCount + 2 <= FOUND;
  }

  /** Packets that come during a walk wait for its end in the socket, and those that have no room there are sent again. */
  #read(): void {
    const tuple = this.#tuple;
    for (let read = 0; read < TUPLES_MAX && this.#hasRoom && this.#packets.next(tuple); read++) {
      const slot = this.#find(tuple);
      if (slot >= 0) this.#take(slot);
      else this.#replies.wants(tuple);
    }
  }

  #walk(): void {
    const beganMs = this.#nowMs();
    const endMs = beganMs + (this.isWaiting ? WALK_MS : WALK_MS_LATER);
    do this.#replies.walk(SLOTS_PER_LOOK, this.#take);
    while (this.#replies.isUnderWay && this.#nowMs() < endMs);
    this.#walkedMs += this.#nowMs() - beganMs;
  }

  /** By its original tuple, or by what mirrors that. */
  #find(tuple: Uint32Array): number {
    const slot = this.#external.findTuple(tuple);
    if (slot >= 0) return slot;
    mirror(tuple);
    const mirrored = this.#external.findTuple(tuple);
    mirror(tuple);
    return mirrored;
  }

  readonly #take = (slot: number): void => {
    if (!this.#hasRoom) return;
    this.#external.read(slot, this.#flow, 0);
    if (this.#flow.has(HAS_MASTER)) {
      const master = this.#masterOf(this.#flow.words);
      if (master >= 0) this.#found[this.#foundCount++] = master;
    }
    this.#found[this.#foundCount++] = slot;
  };

  #masterOf(related: Uint32Array): number {
    const { words } = this.#master;
    words[PROTO] = ((related[MASTER_PROTO] & 0xffff0000) | (related[PROTO] & 0xffff)) >>> 0;
    for (let i = 0; i < 4; i++) {
      words[ORIG_SRC + i] = related[MASTER_SRC + i];
      words[ORIG_DST + i] = related[MASTER_DST + i];
    }
    words[ORIG_PORTS] = related[MASTER_PORTS];
    return this.#external.find(this.#master);
  }
}
