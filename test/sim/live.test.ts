/**
 * A backup whose kernel follows its peer, over a link that loses, delays and is cut, while either daemon is started again:
 * what that kernel has in the end, and what the backup has said of it.
 */
import { describe, expect, test } from "bun:test";
import { Flow, REPLY_PORTS, REPLY_SRC, STATUS } from "../../src/flow/flow.ts";
import { EVENT_DESTROY } from "../../src/replica.ts";
import type { Live } from "../../src/replica-live.ts";
import { keyOf } from "../make-flow.ts";
import type { Bytes } from "../outbound.ts";
import { Node } from "../replica-node.ts";
import { flowDigest } from "./digest.ts";
import { Kernel } from "./kernel.ts";
import { Random } from "./random.ts";

const SEEDS = 120;
const only = process.env.CTSYNC_SEED;
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
const STEP_MS = 5;
const FLOWS = 60;
const FLOWS_MAX = 256;
const SLOTS_A_STEP = 20;
/** What is left over in the kernel lives so long. */
const PURGE_MS = 5_000;
const limits = { resendQueue: 512, inFlightMax: 64, ackWindow: 20 };

interface Flying {
  readonly to: 0 | 1;
  readonly bytes: Bytes;
  readonly dueMs: number;
}

class LiveWorld {
  readonly random: Random;
  readonly table = new Map<string, Flow>();
  readonly cut = [false, false];
  nowMs = 1_000_000;
  refusalsPercent = 0;
  troubled = true;
  /** Messages about flows that the backup has said, in all its lives. */
  said = 0;
  readonly #sealed: boolean;
  readonly #kernel: Kernel;
  readonly #leftOver = new Map<string, number>();
  readonly #flow = new Flow();
  #flying: Flying[] = [];
  #lives = 0;
  primary: Node;
  backup: Node;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#sealed = seed % 2 === 0;
    this.#kernel = new Kernel(this.random, { last: 0 }, (kind, flow) => this.primary.event(kind, flow));
    this.primary = this.startPrimary();
    this.backup = this.startBackup();
  }

  get live(): Live {
    return this.backup.replica.live!;
  }

  /** Numbers grow from life to life, as the clock sees to. */
  #node(live: boolean): Node {
    const life = ++this.#lives;
    const node = new Node(life * 1_000_000, FLOWS_MAX, this.#sealed ? life : undefined, { ...limits, live });
    node.nowMs = this.nowMs;
    node.replica.role = live ? "backup" : "master";
    return node;
  }

  startPrimary(): Node {
    this.primary = this.#node(false);
    for (const flow of this.#kernel.flows.values()) this.primary.replica.kernelEntry(flow, this.nowMs);
    this.primary.replica.sessions[0]!.request();
    return this.primary;
  }

  /** Its kernel outlives its daemon. */
  startBackup(): Node {
    if (this.backup !== undefined) this.said += this.backup.replica.counters.wire.flowsSent;
    this.backup = this.#node(true);
    this.live.queue.follow(true);
    for (const flow of this.table.values()) this.backup.replica.kernelEntry(flow, this.nowMs);
    this.backup.replica.sessions[0]!.request();
    return this.backup;
  }

  runFor(milliseconds: number): void {
    for (const endMs = this.nowMs + milliseconds; this.nowMs < endMs; ) this.#step();
  }

  #step(): void {
    this.nowMs += STEP_MS;
    if (this.troubled && this.random.percent(60)) this.#kernel.packet(1 + this.random.below(FLOWS));
    const nodes = [this.primary, this.backup] as const;
    const due = this.#flying.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#flying = this.#flying.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { to, bytes } of due) nodes[to].hears(bytes);
    for (const [from, node] of nodes.entries()) {
      node.nowMs = this.nowMs - STEP_MS;
      for (const bytes of node.says(STEP_MS)) this.#send(from, bytes);
    }
    if (this.live.holding && this.backup.replica.sessions[0]!.requestDone) this.#settle();
    this.#apply();
    for (const [key, untilMs] of this.#leftOver) if (untilMs <= this.nowMs) this.#expire(key);
  }

  #send(from: number, bytes: Bytes): void {
    if (this.cut[from] || (this.troubled && this.random.percent(15))) return;
    const delayMs = this.troubled && this.random.percent(15) ? 5 + this.random.below(60) : 1;
    this.#flying.push({ to: from === 0 ? 1 : 0, bytes, dueMs: this.nowMs + delayMs });
  }

  /** Unless the peer has a flow there again, whose timer was set since. */
  #expire(key: string): void {
    this.#leftOver.delete(key);
    const flow = this.table.get(key);
    if (flow === undefined || this.backup.replica.external.find(flow) >= 0) return;
    this.table.delete(key);
    this.backup.event(EVENT_DESTROY, flow);
  }

  #settle(): void {
    const { internal } = this.backup.replica;
    this.live.holding = false;
    for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
      if (!internal.isHeld(slot) || this.live.settle(slot, this.nowMs) !== "left over") continue;
      if (!internal.leaveOver(slot)) continue;
      internal.read(slot, this.#flow, this.nowMs);
      this.#leftOver.set(keyOf(this.#flow), this.nowMs + PURGE_MS);
    }
  }

  #apply(): void {
    const { queue } = this.live;
    const { external } = this.backup.replica;
    const end = external.slotsEnd;
    while (queue.nextWithdrawn(this.#flow)) this.table.delete(keyOf(this.#flow));
    for (let slot = queue.nextDue(0, end, this.nowMs); slot >= 0; slot = queue.nextDue(slot + 1, end, this.nowMs))
      queue.changed(slot, this.nowMs);
    for (let n = 0; n < SLOTS_A_STEP; n++) {
      const slot = queue.next(this.nowMs);
      if (slot < 0) return;
      external.read(slot, this.#flow, this.nowMs);
      if (this.random.percent(this.refusalsPercent)) queue.refused(slot, true, false, this.nowMs);
      else {
        this.#take(this.#flow);
        queue.applied(slot, 1_000, this.nowMs);
      }
    }
  }

  /** As ctnetlink changes an entry that stands: never its NAT, and never a bit back. */
  #take(flow: Flow): void {
    const entry = new Flow();
    entry.copyFrom(flow);
    const standing = this.table.get(keyOf(flow));
    if (standing !== undefined) {
      entry.words[STATUS]! |= standing.words[STATUS]!;
      for (let i = REPLY_SRC; i <= REPLY_PORTS; i++) entry.words[i] = standing.words[i]!;
    }
    this.table.set(keyOf(flow), entry);
  }

  /** Whether the backup's kernel has what the primary's has, and nothing else. */
  get follows(): boolean {
    const digests = (flows: Iterable<Flow>): number[] => [...flows].map((flow) => flowDigest(flow)).sort();
    return Bun.deepEquals(digests(this.table.values()), digests(this.#kernel.flows.values()));
  }
}

function troubled(seed: number): LiveWorld {
  const world = new LiveWorld(seed);
  const { random } = world;
  for (let episode = 0; episode < 6; episode++) {
    world.runFor(1_000 + random.below(3_000));
    const what = random.below(6);
    if (what < 2) world.cut[what] = true;
    else if (what === 2) world.cut.fill(false);
    else if (what === 3) world.startBackup();
    else if (what === 4) world.startPrimary();
    else world.refusalsPercent = random.below(80);
  }
  return world;
}

describe("a backup whose kernel follows", () => {
  test.each(seeds)(
    "seed %d: it has the primary's flows once the troubles end, and has said nothing of them",
    (seed) => {
      const world = troubled(seed);
      world.refusalsPercent = 0;
      world.troubled = false;
      world.cut.fill(false);
      for (let i = 0; i < 100 && (!world.follows || world.backup.replica.internal.count > 0); i++) world.runFor(1_000);
      expect(world.follows).toBeTrue();
      const { internal, counters } = world.backup.replica;
      expect([internal.count, world.said + counters.wire.flowsSent]).toEqual([0, 0]);
    },
  );
});
