/**
 * Flows that a takeover's commit takes first, because packets of theirs wait at the gate (D-031).
 *
 *   first.look()                               reads what was held meanwhile, and goes on with the index of reply tuples
 *   while ((slot = first.next()) >= 0) …       slots of the external cache, masters before what is related to them
 *
 * A packet goes in its flow's original direction or in the reply's, and where the user's rules have translated its destination
 * already, it is the mirror of one of them. Where no flow is found, the packet waits for the commit's end, as all once did.
 */
import type { ExternalCache } from "../../cache/external.ts";
import type { ReplyIndex } from "../../cache/reply-index.ts";
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
import { TupleRing } from "../tuple-ring.ts";

/** Held packets that are read between two batches of the commit. */
const PACKETS_AT_ONCE = 128;
/** Tuples that wait for the index. The first to come are the first to be sent again. */
const WAITING = 256;
/** Slots that are found and not taken yet: a master may go before each. */
const FOUND = 1_024;
/** The index has its share of the commit's time, and all of it while somebody waits for it. */
const SHARE_MS = 0.5;
const WHOLE_MS = 2;
const SLOTS_PER_LOOK = 512;

export class FirstFlows {
  /** Flows that were taken. */
  taken = 0;
  readonly #packets: TupleSource;
  readonly #external: ExternalCache;
  readonly #replies: ReplyIndex;
  readonly #nowMs: () => number;
  readonly #tuple = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));
  readonly #waiting = new TupleRing(WAITING);
  readonly #found = new Uint32Array(new ArrayBuffer(FOUND * 4));
  #foundCount = 0;
  #nextFound = 0;
  readonly #flow = new Flow();
  readonly #master = new Flow();

  constructor(packets: TupleSource, external: ExternalCache, nowMs = monotonicMs) {
    this.#packets = packets;
    this.#external = external;
    this.#replies = external.replyIndex();
    this.#nowMs = nowMs;
  }

  look(): void {
    const tuple = this.#tuple;
    for (let read = 0; read < PACKETS_AT_ONCE && this.#hasRoom && this.#packets.next(tuple); read++)
      if (!this.#resolve(tuple)) this.#wait(tuple);
    if (this.#replies.isWhole) return;
    const endMs = this.#nowMs() + (this.isWaiting ? WHOLE_MS : SHARE_MS);
    do this.#replies.build(SLOTS_PER_LOOK);
    while (!this.#replies.isWhole && this.#nowMs() < endMs);
    this.#lookAgain();
  }

  /** The next slot, or -1: none for now. Its flow may have left it since. */
  next(): number {
    if (this.#nextFound < this.#foundCount) return this.#found[this.#nextFound++];
    this.#nextFound = 0;
    this.#foundCount = 0;
    return -1;
  }

  /** A packet waits for the index, which is soon there: the others' turn can wait as well. */
  get isWaiting(): boolean {
    return this.#waiting.count > 0;
  }

  get #hasRoom(): boolean {
    return this.#foundCount + 2 <= FOUND;
  }

  /** Those that wait, by what the index has by now; once it is whole, nobody does any more. */
  #lookAgain(): void {
    const tuple = this.#tuple;
    for (let i = this.#waiting.count; i > 0 && this.#hasRoom && this.#waiting.shift(tuple); i--)
      if (!this.#resolve(tuple)) this.#waiting.add(tuple);
    if (this.#replies.isWhole) this.#waiting.clear();
  }

  #wait(tuple: Uint32Array): void {
    if (!this.#replies.isWhole && !this.#waiting.isFull) this.#waiting.add(tuple);
  }

  /** Whether the packet's flow is found; the tuple is left as it came. */
  #resolve(tuple: Uint32Array): boolean {
    let slot = this.#find(tuple);
    if (slot < 0) {
      mirror(tuple);
      slot = this.#find(tuple);
      mirror(tuple);
    }
    if (slot < 0) return false;
    this.#external.read(slot, this.#flow, 0);
    if (this.#flow.has(HAS_MASTER)) {
      const master = this.#masterOf(this.#flow.words);
      if (master >= 0) this.#found[this.#foundCount++] = master;
    }
    this.#found[this.#foundCount++] = slot;
    return true;
  }

  #find(tuple: Uint32Array): number {
    const slot = this.#external.findTuple(tuple);
    return slot >= 0 ? slot : this.#replies.find(tuple);
  }

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
