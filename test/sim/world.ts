/**
 * Two replicas, their kernels and a faulty link on a virtual clock. Everything random comes from one seed.
 */
import { AddressFilter } from "../../src/filter/address-filter.ts";
import { Flow } from "../../src/flow/flow.ts";
import { Replica } from "../../src/replica.ts";
import { Ftfw, type FtfwLimits, firstSequence } from "../../src/sync/ftfw.ts";
import { flowDigest } from "./digest.ts";
import { Kernel } from "./kernel.ts";
import { type Faults, HEALTHY, Link, Outbox } from "./link.ts";
import { Random } from "./random.ts";

const STEP_MS = 5;
/** How often a condition is looked at. */
const LOOK_MS = 250;
/** How long flows are kept that a peer no longer names. */
const STALE_MS = 1_000;
const PEER = 0; // Each replica has one.

export interface WorldOptions extends Partial<Faults> {
  readonly seed: number;
  readonly flowsMax?: number;
  readonly resendQueue?: number;
  readonly ackWindow?: number;
  readonly inFlightMax?: number;
  /** The channel is sealed: both are ctsync nodes, and know it. */
  readonly extended?: boolean;
  /** The backup's own kernel keeps the flows it has. */
  readonly backupIsPassive?: boolean;
}

export class Node {
  readonly kernel: Kernel;
  readonly outbox = new Outbox();
  replica: Replica;
  readonly #limits: FtfwLimits;

  readonly #extended: boolean;
  readonly #site: number;
  #lives = 0;

  constructor(limits: FtfwLimits, random: Random, site: number, extended: boolean) {
    this.#limits = limits;
    this.#extended = extended;
    this.#site = site;
    this.kernel = new Kernel(random, site);
    this.replica = this.start(0);
  }

  /** A new life: empty caches, the kernel's table read again, everything asked of the peer. */
  start(nowMs: number): Replica {
    const epoch = { high: this.#site, low: ++this.#lives };
    const extension = this.#extended ? { epoch } : undefined;
    this.replica = new Replica({
      flowsMax: this.#limits.flowsMax,
      staleMs: STALE_MS,
      filter: new AddressFilter([]),
      hashKey: [1, 2],
      sessions: [(owner) => new Ftfw(this.#limits, firstSequence(1_800_000_000_000 + nowMs), owner, extension)],
    });
    for (const flow of this.kernel.flows.values()) this.replica.kernelEntry(flow, nowMs);
    this.replica.sessions[PEER].request();
    return this.replica;
  }

  internalFlows(nowMs: number): string[] {
    const { internal } = this.replica;
    return digests(
      (from) => internal.nextLive(from),
      (slot, flow) => internal.read(slot, flow, nowMs),
    );
  }

  externalFlows(nowMs: number): string[] {
    const { external } = this.replica;
    return digests(
      (from) => external.nextLive(from),
      (slot, flow) => external.read(slot, flow, nowMs),
    );
  }
}

function digests(nextSlot: (from: number) => number, read: (slot: number, flow: Flow) => void): string[] {
  const flow = new Flow();
  const found: string[] = [];
  for (let slot = nextSlot(0); slot >= 0; slot = nextSlot(slot + 1)) {
    read(slot, flow);
    found.push(flowDigest(flow));
  }
  return found.sort();
}

export class World {
  readonly primary: Node;
  readonly backup: Node;
  readonly link: Link;
  readonly random: Random;
  readonly backupIsPassive: boolean;
  nowMs = 0;
  /** Chance in percent that a kernel does something in a step. */
  activityPercent = 60;
  readonly #nodes: readonly [Node, Node];

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed);
    const limits: FtfwLimits = {
      flowsMax: options.flowsMax ?? 256,
      resendQueue: options.resendQueue ?? 128,
      ackWindow: options.ackWindow ?? 20,
      inFlightMax: options.inFlightMax ?? 64,
    };
    this.backupIsPassive = options.backupIsPassive ?? false;
    this.primary = new Node(limits, this.random, 1, options.extended ?? false);
    this.backup = new Node(limits, this.random, 2, options.extended ?? false);
    this.#nodes = [this.primary, this.backup];
    this.link = new Link(this.random);
    this.link.faults = { ...HEALTHY, ...options };
  }

  runFor(durationMs: number): this {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; ) this.step();
    return this;
  }

  /** Runs until the condition holds; throws when it does not within the time. */
  runUntil(condition: () => boolean, deadlineMs: number, what: string): this {
    const endMs = this.nowMs + deadlineMs;
    while (!condition()) {
      if (this.nowMs >= endMs) throw new Error(`after ${deadlineMs} ms still not: ${what}`);
      this.runFor(LOOK_MS);
    }
    return this;
  }

  healLink(): this {
    this.link.faults = HEALTHY;
    this.link.cut.fill(false);
    return this;
  }

  quiet(): this {
    this.activityPercent = 0;
    return this;
  }

  step(): void {
    this.nowMs += STEP_MS;
    for (const node of this.#nodes) {
      const active = node === this.primary ? this.activityPercent : this.backupIsPassive ? 0 : this.activityPercent / 4;
      if (this.random.percent(active))
        node.kernel.step((kind, flow) => node.replica.kernelEvent(kind, flow, this.nowMs));
    }
    for (const { to, payload } of this.link.arrived(this.nowMs))
      this.#nodes[to].replica.datagram(PEER, new DataView(payload.buffer), 0, payload.length, this.nowMs);
    for (const [index, node] of this.#nodes.entries()) this.#transmit(node, 1 - index);
  }

  #transmit(node: Node, to: number): void {
    node.replica.tick(this.nowMs);
    let more = true;
    while (more) {
      more = node.replica.transmit(PEER, node.outbox, this.nowMs);
      for (const payload of node.outbox.take()) this.link.send(to, payload, this.nowMs);
    }
  }

  /** What differs between each side's internal cache and the other's external one: nothing, once all has arrived. */
  differences(): { readonly missing: string[]; readonly surplus: string[] } {
    const missing: string[] = [];
    const surplus: string[] = [];
    for (const [index, node] of this.#nodes.entries()) {
      const sent = new Set(node.internalFlows(this.nowMs));
      const known = new Set(this.#nodes[1 - index].externalFlows(this.nowMs));
      missing.push(...sent.difference(known));
      surplus.push(...known.difference(sent));
    }
    return { missing, surplus };
  }
}
