/** Nodes for tests of the replica: two of them hear each other at once, or not at all. */
import { AddressFilter } from "../src/filter/address-filter.ts";
import { Flow } from "../src/flow/flow.ts";
import { Replica } from "../src/replica.ts";
import { Ftfw, type FtfwLimits } from "../src/sync/ftfw.ts";
import { keyOf } from "./make-flow.ts";
import { type Bytes, Datagrams, viewOf } from "./outbound.ts";

export const PEER = 0;

/** A node, its datagrams, and the clock of the test. */
export class Node {
  readonly filter = new AddressFilter([]);
  readonly replica: Replica;
  nowMs = 1_000_000;

  /** `epoch`: this life of a node on a sealed channel; without one the channel is open. */
  constructor(firstSeq: number, flowsMax = 16, epoch?: number, others: Partial<FtfwLimits> & { live?: boolean } = {}) {
    const limits = { resendQueue: 64, inFlightMax: 64, ackWindow: 300, ...others };
    const extension = epoch === undefined ? undefined : { epoch: { high: 1, low: epoch } };
    this.replica = new Replica({
      flowsMax,
      expectationsMax: 8,
      filter: this.filter,
      staleMs: 60_000,
      hashKey: [1, 2],
      live: others.live ?? false,
      sessions: [(owner) => new Ftfw(limits, firstSeq, owner, extension)],
    });
  }

  event(kind: number, flow: Flow): void {
    this.replica.kernelEvent(kind, flow, this.nowMs);
  }

  hears(...datagrams: readonly Bytes[]): void {
    for (const datagram of datagrams) this.replica.datagram(PEER, viewOf(datagram), 0, datagram.length, this.nowMs);
  }

  /** Lets `laterMs` pass and sends all there is to send. */
  says(laterMs = 0, out = new Datagrams()): Bytes[] {
    this.nowMs += laterMs;
    this.replica.tick(this.nowMs);
    const datagrams: Bytes[] = [];
    for (let more = true; more; ) {
      more = this.replica.transmit(0, out, this.nowMs);
      datagrams.push(...out.take());
    }
    return datagrams;
  }

  externalKeys(): string[] {
    const { external } = this.replica;
    const flow = new Flow();
    const keys: string[] = [];
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
      external.read(slot, flow, this.nowMs);
      keys.push(keyOf(flow));
    }
    return keys.toSorted();
  }
}

/** Lets both nodes speak and hear in turn until neither has anything to say. */
export function talk(a: Node, b: Node, laterMs = 0): void {
  let [said, answered] = [a.says(laterMs), b.says(laterMs)];
  for (let round = 0; said.length > 0 || answered.length > 0; round++) {
    if (round > 100) throw new Error("they never come to an end");
    b.hears(...said);
    a.hears(...answered);
    [said, answered] = [a.says(), b.says()];
  }
}

/** Two nodes of a sealed channel that know each other. */
export function extendedPair(flowsMax = 16): [Node, Node] {
  const nodes: [Node, Node] = [new Node(1_000, flowsMax, 11), new Node(5_000, flowsMax, 22)];
  for (let i = 0; i < 4; i++) talk(...nodes, 1_000);
  return nodes;
}

/** Two nodes after their handshake. */
export function pair(flowsMax = 16): [Node, Node] {
  const nodes: [Node, Node] = [new Node(1_000, flowsMax), new Node(5_000, flowsMax)];
  for (let i = 0; i < 3; i++) talk(...nodes, 1_000);
  return nodes;
}
