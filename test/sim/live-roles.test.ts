/**
 * Two nodes whose kernels follow each other's, over a link that loses and delays, while roles change: by keepalived's word on
 * both, in either order, or by the death of the primary. In the end both kernels are the primary's, and nothing that ended has
 * come back.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { findMissing } from "../../src/daemon/work/live.ts";
import { Flow } from "../../src/flow/flow.ts";
import { EVENT_DESTROY } from "../../src/replica.ts";
import type { Live } from "../../src/replica-live.ts";
import type { Node } from "../replica-node.ts";
import { flowDigest, idOf } from "./digest.ts";
import { Kernel } from "./kernel.ts";
import { copyOf, FLOWS, type Index, LiveWorld, other, PURGE_MS, SLOTS_A_STEP, seedsTo, take } from "./live-world.ts";

setDefaultTimeout(60_000);

const SEEDS = 80;

interface Side {
  node: Node;
  readonly kernel: Kernel;
  /** When what stands in the kernel since this node was primary ends, by number. */
  readonly leftOver: Map<number, number>;
}

class RolesWorld extends LiveWorld {
  readonly sides: readonly [Side, Side];
  primary: Index = 0;
  readonly #flow = new Flow();

  constructor(seed: number) {
    super(seed);
    const versions = { last: 0 };
    const side = (i: Index): Side => ({
      node: this.#node("backup"),
      kernel: new Kernel(this.random, versions, (kind, flow) => this.sides[i].node.event(kind, flow)),
      leftOver: new Map(),
    });
    this.sides = [side(0), side(1)];
    for (let i = 0; i < 300; i++) this.step(false);
    this.#takeOver(0);
  }

  /** keepalived moves the addresses: both hear it, one before the other; packets pass where the addresses are. */
  change(): void {
    const [old, next] = [this.primary, other(this.primary)];
    const stepsDownFirst = this.random.percent(50);
    if (stepsDownFirst) this.#stepDown(old);
    this.primary = next;
    this.runFor(this.random.below(100));
    this.#takeOver(next);
    this.runFor(this.random.below(200));
    if (!stepsDownFirst) this.#stepDown(old);
  }

  /** The machine of the primary dies and boots: nobody withdraws anything. */
  die(): void {
    const old = this.primary;
    this.sides[old].kernel.boot();
    this.sides[old].leftOver.clear();
    this.sides[old].node = this.#node("unknown");
    this.loseFlying();
    this.primary = other(old);
    this.#takeOver(this.primary);
    this.runFor(this.random.below(6_000));
    this.sides[old].node.replica.role = "backup";
  }

  get backup(): Side {
    return this.sides[other(this.primary)];
  }

  /** Whether the backup's kernel has what the primary's has, and nothing else, and says nothing of it. */
  get follows(): boolean {
    const digests = ({ kernel }: Side): number[] => [...kernel.flows.values()].map((flow) => flowDigest(flow)).sort();
    return (
      Bun.deepEquals(digests(this.sides[0]), digests(this.sides[1])) && this.backup.node.replica.internal.count === 0
    );
  }

  #node(role: "backup" | "unknown"): Node {
    const node = this.born(true);
    node.replica.role = role;
    node.replica.live!.holding = false;
    node.replica.live!.queue.follow(true);
    node.replica.sessions[0]!.request();
    return node;
  }

  protected override step(packets: boolean): void {
    this.tick();
    if (packets && this.random.percent(60)) this.sides[this.primary].kernel.packet(1 + this.random.below(FLOWS));
    this.deliver([this.sides[0].node, this.sides[1].node]);
    for (const from of [0, 1] as const) {
      const { node } = this.sides[from];
      this.speak(from, node);
      if (node.replica.live!.queue.active) this.#apply(this.sides[from], SLOTS_A_STEP);
      else this.#letGo(node);
      this.#reread(this.sides[from]);
      this.#expire(this.sides[from]);
    }
  }

  #apply({ node, kernel: { flows } }: Side, slots: number): void {
    const { queue } = live(node);
    const remove = (flow: Flow): void => {
      if (!live(node).isOurs(flow)) flows.delete(idOf(flow.words));
    };
    this.tell(node, slots, remove, (slot, flow) => {
      if (live(node).isOurs(flow)) return queue.forget(slot);
      take(flows, idOf(flow.words), flow);
      queue.applied(slot, 100_000, this.nowMs);
    });
  }

  #takeOver(i: Index): void {
    const side = this.sides[i];
    const { node, kernel } = side;
    const { replica } = node;
    node.nowMs = this.nowMs;
    replica.role = "master";
    this.#apply(side, Number.POSITIVE_INFINITY);
    live(node).queue.follow(false);
    replica.external.beginTakeover();
    this.runFor(this.random.below(50));
    for (const flow of [...kernel.flows.values()]) live(node).adopt(copyOf(flow), this.nowMs);
    live(node).queue.follow(true);
    const looking = findMissing({ replica }, live(node));
    let looked = looking.next();
    while (!looked.done) looked = looking.next();
    this.#apply(side, Number.POSITIVE_INFINITY);
    live(node).queue.follow(false);
    for (const slot of looked.value) {
      if (!replica.external.isUsed(slot)) continue;
      replica.external.read(slot, this.#flow, this.nowMs);
      const entry = kernel.flows.get(idOf(this.#flow.words));
      if (entry !== undefined) live(node).adopt(copyOf(entry), this.nowMs);
    }
  }

  #letGo({ replica }: Node): void {
    const { external, sessions } = replica;
    if (sessions.some((session) => session.extended && session.peerState(this.nowMs) !== "silent")) return;
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1))
      if (external.wasAdopted(slot)) external.remove(slot);
    external.endTakeover();
  }

  #stepDown(i: Index): void {
    const { node, kernel, leftOver } = this.sides[i];
    const { replica } = node;
    replica.role = this.random.percent(50) ? "backup" : "stop";
    replica.external.endTakeover();
    live(node).queue.follow(true);
    for (let slot = replica.external.nextLive(0); slot >= 0; slot = replica.external.nextLive(slot + 1))
      live(node).follow(slot, this.nowMs);
    for (const [id, flow] of kernel.flows) {
      if (live(node).replaces(flow, this.nowMs) || live(node).isPeers(flow)) continue;
      leftOver.set(id, this.nowMs + PURGE_MS);
    }
    if (replica.role === "backup") replica.sessions[0]!.request();
  }

  /** Unless the peer has the flow, whose timer was set since. */
  #expire({ node, kernel, leftOver }: Side): void {
    for (const [id, untilMs] of leftOver) {
      if (untilMs > this.nowMs) continue;
      leftOver.delete(id);
      const flow = kernel.flows.get(id);
      if (flow === undefined || node.replica.role === "master" || !live(node).isOurs(flow)) continue;
      kernel.flows.delete(id);
      node.event(EVENT_DESTROY, flow);
    }
  }

  #reread({ node, kernel }: Side): void {
    const { ownership, internal } = node.replica;
    if (!ownership.wantsReading) return;
    const claims = ownership.wantsClaims;
    ownership.wantsReading = false;
    ownership.wantsClaims = false;
    internal.beginPass();
    for (const flow of [...kernel.flows.values()]) node.replica.kernelEntry(copyOf(flow), this.nowMs, claims);
    for (let slot = internal.nextUnseen(0); slot >= 0; slot = internal.nextUnseen(slot + 1))
      node.replica.ended(slot, this.nowMs);
  }
}

const live = (node: Node): Live => node.replica.live!;

describe("two nodes whose kernels follow each other's", () => {
  test.each(seedsTo(SEEDS))("seed %d: whoever is primary, the other kernel becomes what its kernel is", (seed) => {
    const world = new RolesWorld(seed);
    for (let episode = 0; episode < 5; episode++) {
      world.runFor(1_000 + world.random.below(3_000));
      if (world.random.percent(60)) world.change();
      else world.die();
    }
    world.runFor(1_000);
    const wanted = [...world.sides[world.primary].kernel.flows.keys()].toSorted();
    world.troubled = false;
    for (let i = 0; i < 100 && !world.follows; i++) world.runFor(1_000);
    expect(world.follows).toBeTrue();
    expect([...world.sides[world.primary].kernel.flows.keys()].toSorted()).toEqual(wanted);
  });
});
