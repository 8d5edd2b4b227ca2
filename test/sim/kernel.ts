/**
 * A pretended kernel table, seen as the events it raises, entries of dumps, and what a commit does to it.
 *
 * Flows have numbers, from which their tuples follow, and there are few of them: they end and come back, sometimes with
 * other NAT, without the mark or labels they had. Each state of a flow gets the next version number.
 */
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_NAT,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_TIMEOUT,
  INFO,
  IPPROTO_TCP,
  IPPROTO_UDP,
  LABELS,
  MARK,
  MASTER_DST,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  STATUS,
  setHelperName,
  TIMEOUT,
} from "../../src/flow/flow.ts";
import { overlay } from "../../src/flow/merge.ts";
import { deriveReply } from "../../src/flow/reply.ts";
import {
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DST_NAT_DONE,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
} from "../../src/flow/status.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "../../src/replica.ts";
import { idOf, ORIG_NET, VERSION } from "./digest.ts";
import type { Random } from "./random.ts";

/** The flow is the kernel's, and valid until it raises the next event. */
export type Raise = (kind: number, flow: Flow) => void;

/** Counts the states of all flows in all kernels of a world. */
export interface Versions {
  last: number;
}

export class Kernel {
  readonly flows = new Map<number, Flow>();
  /** Numbers of the flows that this table has held since the machine booted. */
  readonly held = new Set<number>();
  readonly #random: Random;
  readonly #versions: Versions;
  readonly #raise: Raise;
  readonly #event = new Flow();

  constructor(random: Random, versions: Versions, raise: Raise) {
    this.#random = random;
    this.#versions = versions;
    this.#raise = raise;
  }

  /** A packet of this flow passes, or its end. */
  packet(id: number): void {
    const flow = this.flows.get(id);
    if (flow === undefined) this.#raise(EVENT_NEW, this.#begin(id));
    else if (this.#random.percent(30)) this.end(id);
    else this.#raise(EVENT_UPDATE, this.#change(flow));
  }

  /** A packet of this flow passes, and leaves this mark on it. */
  marks(id: number, mark: number): void {
    const flow = this.flows.get(id);
    if (flow !== undefined) {
      this.#raise(EVENT_UPDATE, this.#change(flow, mark));
      return;
    }
    const begun = this.#begin(id);
    begun.words[MARK] = mark;
    begun.words[HAS] |= HAS_MARK;
    this.#raise(EVENT_NEW, begun);
  }

  end(id: number): void {
    const flow = this.flows.get(id);
    if (flow === undefined) return;
    this.flows.delete(id);
    this.#raise(EVENT_DESTROY, flow);
  }

  /** The machine boots: nobody is told what was lost. */
  boot(): void {
    this.flows.clear();
    this.held.clear();
  }

  /** A flow of the peer becomes an entry of ours, or is laid over the one that stands. Our own doing raises no event. */
  commit(external: Flow): void {
    const id = idOf(external.words);
    const flow = new Flow();
    flow.copyFrom(external);
    flow.words[HAS] = (flow.words[HAS] & ~HAS_NAT) | HAS_REPLY;
    const known = this.flows.get(id);
    if (known !== undefined) overlay(known.words, flow.words);
    this.#stored(id, known ?? flow);
  }

  #begin(id: number): Flow {
    const random = this.#random;
    const flow = new Flow();
    const words = flow.words;
    const tcp = id % 3 !== 0;
    words[PROTO] = protoWord(id % 4 === 0 ? 6 : 4, tcp ? IPPROTO_TCP : IPPROTO_UDP, id % 7 === 0 ? 5 : 0, 0);
    words[ORIG_SRC] = ORIG_NET + id;
    words[ORIG_DST] = 0xc0a80001;
    words[ORIG_PORTS] = portsWord(1024 + (id & 0xff), 443);
    deriveReply(words);
    words[STATUS] = IPS_CONFIRMED;
    if (id % 5 === 0 && random.percent(70)) {
      words[REPLY_DST] = 0xcb007101;
      words[STATUS] |= IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    }
    words[TIMEOUT] = 120;
    words[INFO] = tcp ? 1 : 0;
    words[HAS] = HAS_REPLY | HAS_STATUS | HAS_TIMEOUT | HAS_PORTS | HAS_SEQADJ | (tcp ? HAS_STATE : 0);
    if (id % 11 === 0 && random.percent(70)) {
      setHelperName(words, "ftp");
      words[HAS] |= HAS_HELPER;
    }
    if (id % 13 === 0 && id % 4 !== 0 && random.percent(70)) {
      words[MASTER_PROTO] = protoWord(4, IPPROTO_TCP, 0, 0);
      words[MASTER_SRC] = ORIG_NET + id + 1;
      words[MASTER_DST] = 0xc0a80001;
      words[HAS] |= HAS_MASTER;
    }
    this.#stored(id, flow);
    return flow;
  }

  #stored(id: number, flow: Flow): void {
    flow.words[VERSION] = ++this.#versions.last;
    flow.words[HAS] |= HAS_SEQADJ; // A flow that was forged and committed has it too, or the number is not told.
    this.flows.set(id, flow);
    this.held.add(id);
  }

  /** The event carries status and what changed; the table keeps the whole. */
  #change(flow: Flow, mark?: number): Flow {
    const random = this.#random;
    const event = this.#event;
    event.clear();
    for (let i = PROTO; i < STATUS; i++) event.words[i] = flow.words[i];
    event.words[HAS] = HAS_REPLY | HAS_STATUS | HAS_PORTS;
    flow.words[STATUS] |= IPS_SEEN_REPLY | IPS_ASSURED;
    event.words[STATUS] = flow.words[STATUS];
    both(flow, event, VERSION, ++this.#versions.last, HAS_SEQADJ);
    const what = random.below(4);
    if (mark !== undefined) both(flow, event, MARK, mark, HAS_MARK);
    else if (what === 0) both(flow, event, MARK, random.below(100), HAS_MARK);
    else if (what === 1) both(flow, event, LABELS + 1, random.percent(20) ? 0 : 1 + random.below(100), HAS_LABELS);
    else if (what === 2 && flow.l4proto === IPPROTO_TCP) both(flow, event, INFO, 2 + random.below(6), HAS_STATE);
    return event;
  }
}

function both(flow: Flow, event: Flow, word: number, value: number, has: number): void {
  for (const words of [flow.words, event.words]) {
    words[word] = value;
    words[HAS] |= has;
  }
}
