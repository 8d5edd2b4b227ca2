/**
 * A pretended kernel table whose flows begin, change and end at random, seen as the events it would raise.
 */
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_PORTS,
  HAS_REPLY,
  HAS_STATE,
  HAS_STATUS,
  HAS_TIMEOUT,
  INFO,
  IPPROTO_TCP,
  IPPROTO_UDP,
  LABELS,
  MARK,
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
import type { Random } from "./random.ts";

export type Raise = (kind: number, flow: Flow) => void;

export class Kernel {
  readonly flows = new Map<number, Flow>();
  readonly #random: Random;
  readonly #site: number;

  /** `site` keeps the flows of several kernels apart. */
  constructor(random: Random, site: number) {
    this.#random = random;
    this.#site = site;
  }

  /** One thing happens. Tuples are few, so that they end and come back. */
  step(raise: Raise): void {
    const id = this.#random.below(60);
    const flow = this.flows.get(id);
    if (flow === undefined) raise(EVENT_NEW, this.#begin(id));
    else if (this.#random.percent(30)) {
      this.flows.delete(id);
      raise(EVENT_DESTROY, flow);
    } else raise(EVENT_UPDATE, this.#change(flow));
  }

  #begin(id: number): Flow {
    const flow = new Flow();
    const words = flow.words;
    const tcp = id % 3 !== 0;
    words[PROTO] = protoWord(id % 4 === 0 ? 6 : 4, tcp ? IPPROTO_TCP : IPPROTO_UDP, id % 7 === 0 ? 5 : 0, 0);
    words[ORIG_SRC] = 0x0a000000 + this.#site * 65_536 + id;
    words[ORIG_DST] = 0xc0a80001;
    words[ORIG_PORTS] = portsWord(1024 + id, 443);
    deriveReply(words);
    words[STATUS] = IPS_CONFIRMED;
    if (id % 5 === 0) {
      words[REPLY_DST] = 0xcb007101;
      words[STATUS] |= IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    }
    words[TIMEOUT] = 120;
    words[INFO] = tcp ? 1 : 0;
    words[HAS] = HAS_REPLY | HAS_STATUS | HAS_TIMEOUT | HAS_PORTS | (tcp ? HAS_STATE : 0);
    if (id % 11 === 0) {
      setHelperName(words, "ftp");
      words[HAS] |= HAS_HELPER;
    }
    this.flows.set(id, flow);
    return flow;
  }

  /** The event carries what changed and status; the table keeps the whole. */
  #change(flow: Flow): Flow {
    const event = new Flow();
    event.copyFrom(flow);
    event.words[HAS] = HAS_REPLY | HAS_STATUS | HAS_PORTS;
    flow.words[STATUS] |= IPS_SEEN_REPLY | IPS_ASSURED;
    event.words[STATUS] = flow.words[STATUS];
    const what = this.#random.below(3);
    if (what === 0) this.#both(flow, event, MARK, 1 + this.#random.below(100), HAS_MARK);
    else if (what === 1) this.#both(flow, event, LABELS + 1, 1 + this.#random.below(100), HAS_LABELS);
    else if (flow.l4proto === IPPROTO_TCP) this.#both(flow, event, INFO, 2 + this.#random.below(6), HAS_STATE);
    return event;
  }

  #both(flow: Flow, event: Flow, word: number, value: number, has: number): void {
    for (const words of [flow.words, event.words]) {
      words[word] = value;
      words[HAS] |= has;
    }
  }
}
