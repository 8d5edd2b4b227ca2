/**
 * What worlds have in common in which a kernel follows the peer's: a link that loses, delays and is cut, the lives of the two
 * daemons, and a kernel that takes what it is told.
 */
import { Flow, PROTO, REPLY_PORTS, REPLY_SRC, STATUS } from "../../src/flow/flow.ts";
import type { Bytes } from "../outbound.ts";
import { Node } from "../replica-node.ts";
import { Random } from "./random.ts";

export const FLOWS = 60;
/** What is left over in a kernel lives so long. */
export const PURGE_MS = 5_000;
export const SLOTS_A_STEP = 20;
const FLOWS_MAX = 256;
const STEP_MS = 5;
const limits = { resendQueue: 512, inFlightMax: 64, ackWindow: 20 };

export type Index = 0 | 1;
export const other = (i: Index): Index => (i === 0 ? 1 : 0);

/** Seeds 1 to `count`, or the one that CTSYNC_SEED names. */
export function seedsTo(count: number): number[] {
  const only = process.env.CTSYNC_SEED;
  return only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];
}

export abstract class LiveWorld {
  readonly random: Random;
  /** By the node that nobody hears. */
  readonly cut = [false, false];
  nowMs = 1_000_000;
  troubled = true;
  readonly #sealed: boolean;
  readonly #flow = new Flow();
  #flying: { readonly to: Index; readonly bytes: Bytes; readonly dueMs: number }[] = [];
  #lives = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#sealed = seed % 2 === 0;
  }

  runFor(milliseconds: number): void {
    for (const endMs = this.nowMs + milliseconds; this.nowMs < endMs; ) this.step(this.troubled);
  }

  /** `packets`: whether packets pass, which make events. */
  protected abstract step(packets: boolean): void;

  /** A daemon begins. Numbers grow from life to life, as the clock sees to. */
  protected born(live: boolean): Node {
    const life = ++this.#lives;
    const node = new Node(life * 1_000_000, FLOWS_MAX, this.#sealed ? life : undefined, { ...limits, live });
    node.nowMs = this.nowMs;
    return node;
  }

  /** Time goes on. */
  protected tick(): void {
    this.nowMs += STEP_MS;
  }

  /** What has come over the link is heard. */
  protected deliver(nodes: readonly [Node, Node]): void {
    const due = this.#flying.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#flying = this.#flying.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { to, bytes } of due) nodes[to].hears(bytes);
  }

  /** What a node has to say in this step goes onto the link. */
  protected speak(from: Index, node: Node): void {
    node.nowMs = this.nowMs - STEP_MS;
    for (const bytes of node.says(STEP_MS)) {
      if (this.cut[from] || (this.troubled && this.random.percent(15))) continue;
      const delayMs = this.troubled && this.random.percent(15) ? 5 + this.random.below(60) : 1;
      this.#flying.push({ to: other(from), bytes, dueMs: this.nowMs + delayMs });
    }
  }

  protected loseFlying(): void {
    this.#flying = [];
  }

  /** A kernel is told what waits for it, of so many slots at most. */
  protected tell(
    { replica }: Node,
    slots: number,
    remove: (flow: Flow) => void,
    put: (slot: number, flow: Flow) => void,
  ): void {
    const { queue } = replica.live!;
    const { external } = replica;
    const end = external.slotsEnd;
    while (queue.nextWithdrawn(this.#flow)) remove(this.#flow);
    for (let slot = queue.nextDue(0, end, this.nowMs); slot >= 0; slot = queue.nextDue(slot + 1, end, this.nowMs))
      queue.changed(slot, this.nowMs);
    for (let n = 0; n < slots; n++) {
      const slot = queue.next(this.nowMs);
      if (slot < 0) return;
      external.read(slot, this.#flow, this.nowMs);
      if (this.#flow.words[PROTO] === 0) throw new Error("a free slot is told");
      put(slot, this.#flow);
    }
  }
}

/** As ctnetlink changes an entry that stands: never its NAT, and never a bit back. */
export function take<Key>(flows: Map<Key, Flow>, key: Key, flow: Flow): void {
  const entry = copyOf(flow);
  const standing = flows.get(key);
  if (standing !== undefined) {
    entry.words[STATUS]! |= standing.words[STATUS]!;
    for (let i = REPLY_SRC; i <= REPLY_PORTS; i++) entry.words[i] = standing.words[i]!;
  }
  flows.set(key, entry);
}

export function copyOf(flow: Flow): Flow {
  const copy = new Flow();
  copy.copyFrom(flow);
  return copy;
}
