/**
 * A backup whose kernel follows its peer, over a link that loses, delays and is cut, while either daemon is started again:
 * what that kernel has in the end, and what the backup has said of it.
 */
import { describe, expect, test } from "bun:test";
import { Flow } from "../../src/flow/flow.ts";
import { EVENT_DESTROY } from "../../src/replica.ts";
import type { Live } from "../../src/replica-live.ts";
import { keyOf } from "../make-flow.ts";
import type { Node } from "../replica-node.ts";
import { flowDigest } from "./digest.ts";
import { Kernel } from "./kernel.ts";
import { FLOWS, LiveWorld, PURGE_MS, SLOTS_A_STEP, seedsTo, take } from "./live-world.ts";

const SEEDS = 120;

class BackupWorld extends LiveWorld {
  readonly table = new Map<string, Flow>();
  refusalsPercent = 0;
  /** Messages about flows that the backup has said, in all its lives. */
  said = 0;
  readonly #kernel: Kernel;
  readonly #leftOver = new Map<string, number>();
  readonly #flow = new Flow();
  primary: Node;
  backup: Node;

  constructor(seed: number) {
    super(seed);
    this.#kernel = new Kernel(this.random, { last: 0 }, (kind, flow) => this.primary.event(kind, flow));
    this.primary = this.startPrimary();
    this.backup = this.startBackup();
  }

  get live(): Live {
    return this.backup.replica.live!;
  }

  #node(live: boolean): Node {
    const node = this.born(live);
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

  protected override step(packets: boolean): void {
    this.tick();
    if (packets && this.random.percent(60)) this.#kernel.packet(1 + this.random.below(FLOWS));
    this.deliver([this.primary, this.backup]);
    this.speak(0, this.primary);
    this.speak(1, this.backup);
    if (this.live.holding && this.backup.replica.sessions[0]!.requestDone) this.#settle();
    this.#apply();
    for (const [key, untilMs] of this.#leftOver) if (untilMs <= this.nowMs) this.#expire(key);
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
    const remove = (flow: Flow): void => void this.table.delete(keyOf(flow));
    this.tell(this.backup, SLOTS_A_STEP, remove, (slot, flow) => {
      if (this.random.percent(this.refusalsPercent)) return queue.refused(slot, true, false, this.nowMs);
      take(this.table, keyOf(flow), flow);
      queue.applied(slot, 1_000, this.nowMs);
    });
  }

  /** Whether the backup's kernel has what the primary's has, and nothing else. */
  get follows(): boolean {
    const digests = (flows: Iterable<Flow>): number[] => [...flows].map((flow) => flowDigest(flow)).sort();
    return Bun.deepEquals(digests(this.table.values()), digests(this.#kernel.flows.values()));
  }
}

function troubled(seed: number): BackupWorld {
  const world = new BackupWorld(seed);
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
  test.each(seedsTo(SEEDS))(
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
