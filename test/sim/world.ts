/**
 * Two to four nodes, each with a session to each other, their kernels and their links on a virtual clock. Everything
 * random comes from one seed, and time passes only from one thing that is due to the next.
 */
import type { Code } from "./code.ts";
import { Heap } from "./heap.ts";
import type { Versions } from "./kernel.ts";
import { Link, type LinkKind } from "./link.ts";
import { type Clock, Node, type Settings } from "./node.ts";
import { Random } from "./random.ts";

/** Flows through the firewalls, whichever of them is primary, and each machine's own. */
export const SERVICE_FLOWS = 48;
const OWN_FLOWS = 10;
/** Where tuples change, as they do when clients come and go, some of the flows end for good this often, and others begin. */
const CHURN_EVERY_MS = 1_000;
const CHURN_FLOWS = 12;
const CHURN_TUPLES = 240;
/** Numbers of flows of different kinds are this far apart. */
const SITE = 256;
/** A turn of each node in one moment comes to an end; if not, time would stand still. */
const TURNS_MAX = 1_000;
const BOUNDS_EVERY_MS = 500;

export interface Fixed {
  readonly nodes?: number;
  readonly kind?: LinkKind;
  readonly backupsHaveTraffic?: boolean;
  /** Whether two are primary at once for a while; where they can be. */
  readonly splits?: boolean;
  /** Whether the daemon of one of the two primaries is killed, and goes on with its reign. */
  readonly splitRestarts?: boolean;
  readonly settings?: Partial<Settings>;
}

interface Action {
  readonly dueMs: number;
  readonly order: number;
  readonly act: () => void;
}

export class World {
  readonly random: Random;
  readonly link: Link;
  readonly nodes: readonly Node[];
  readonly settings: Settings;
  readonly clock: Clock = { nowMs: 0 };
  readonly versions: Versions = { last: 0 };
  /** Which node has the traffic; none, while nobody is primary. */
  primary: Node | undefined;
  /** Mean time between two packets that matter; never, when it is quiet. */
  packetEveryMs = 8;
  /**
   * Either the roles change, or backups have flows of their own. Both would be two kernels that hold the same flows: a
   * takeover commits whatever the external cache holds, and nothing says whose word counts (docs/simulation.md).
   */
  readonly backupsHaveTraffic: boolean;
  readonly splitRestarts: boolean;
  readonly #actions = new Heap<Action>();
  #order = 0;
  #packetMs = 0;
  #boundsMs = 0;
  #churnMs = 0;
  /** The first of the service's flows. */
  #first = 0;
  #turns = 0;

  /** `fixed` is not drawn from the seed. */
  constructor(seed: number, code: Code, fixed: Fixed = {}) {
    this.random = new Random(seed);
    const { random } = this;
    const dice = random.below(100);
    const nodes = fixed.nodes ?? (dice < 60 ? 2 : dice < 85 ? 3 : 4);
    const kind = fixed.kind ?? drawKind(random);
    this.settings = { ...drawSettings(random, nodes, kind), ...fixed.settings };
    this.link = new Link(kind, nodes, random);
    this.backupsHaveTraffic = fixed.backupsHaveTraffic ?? random.percent(35);
    this.splitRestarts = fixed.splitRestarts ?? false;
    this.nodes = Array.from(
      { length: nodes },
      (_, i) => new Node(i, code, this.settings, this.link, random, this.versions, this.clock),
    );
    for (const node of this.nodes) node.start();
    this.primary = this.nodes[0];
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  /** `act` happens after so long. */
  after(delayMs: number, act: () => void): void {
    this.#actions.push({ dueMs: this.nowMs + delayMs, order: this.#order++, act });
  }

  runFor(durationMs: number): this {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const dueMs = this.#dueMs();
      if (dueMs > endMs) break;
      this.#turns = dueMs > this.nowMs ? 0 : this.#turns + 1;
      if (this.#turns > TURNS_MAX) throw new Error(`time stands still at ${this.nowMs} ms`);
      this.clock.nowMs = Math.max(dueMs, this.nowMs);
      this.#step();
    }
    this.clock.nowMs = endMs;
    return this;
  }

  /** Runs until the condition holds, looking every so often; false when it does not within the time. */
  runUntil(condition: () => boolean, deadlineMs: number, everyMs: number): boolean {
    const endMs = this.nowMs + deadlineMs;
    while (!condition()) {
      if (this.nowMs >= endMs) return false;
      this.runFor(everyMs);
    }
    return true;
  }

  /** A packet passes this node: of the service, or of its own. */
  packet(node: Node): void {
    if (node !== this.primary && !this.backupsHaveTraffic) return;
    const isService = node === this.primary && !(this.backupsHaveTraffic && this.random.percent(15));
    node.kernel.packet(
      isService
        ? this.#serviceFlow(this.random.below(SERVICE_FLOWS))
        : ownFlow(node.index, this.random.below(OWN_FLOWS)),
    );
  }

  #serviceFlow(number: number): number {
    return this.settings.churns ? (this.#first + number) % CHURN_TUPLES : number;
  }

  #churn({ kernel }: Node): void {
    this.#first = (this.#first + CHURN_FLOWS) % CHURN_TUPLES;
    for (const id of [...kernel.flows.keys()])
      if (id < CHURN_TUPLES && (id - this.#first + CHURN_TUPLES) % CHURN_TUPLES >= SERVICE_FLOWS) kernel.end(id);
  }

  #dueMs(): number {
    let dueMs = Math.min(this.link.dueMs, this.#actions.dueMs);
    if (this.packetEveryMs < Number.POSITIVE_INFINITY) dueMs = Math.min(dueMs, this.#packetMs);
    for (const node of this.nodes) dueMs = Math.min(dueMs, node.dueMs);
    return dueMs;
  }

  #step(): void {
    const { nowMs, nodes, link, random } = this;
    while (this.#actions.dueMs <= nowMs) this.#actions.shift().act();
    if (this.packetEveryMs < Number.POSITIVE_INFINITY && this.#packetMs <= nowMs) {
      this.#packetMs = nowMs + 1 + random.below(2 * this.packetEveryMs);
      const node = random.percent(80) ? this.primary : random.pick(nodes);
      if (node !== undefined) this.packet(node);
      if (this.settings.churns && this.primary !== undefined && nowMs >= this.#churnMs) {
        this.#churnMs = nowMs + CHURN_EVERY_MS;
        this.#churn(this.primary);
      }
    }
    while (link.dueMs <= nowMs) {
      const datagram = link.arrived();
      nodes[datagram.to].arrives(datagram);
    }
    for (const node of nodes) if (node.dueMs <= nowMs) node.turn(nodes);
    if (nowMs < this.#boundsMs) return;
    this.#boundsMs = nowMs + BOUNDS_EVERY_MS;
    for (const node of nodes) node.checkBounds();
  }
}

const ownFlow = (index: number, number: number): number => SITE * (1 + index) + number;
/** Which node a flow belongs to, wherever the service is; -1 for one of the service. */
export const siteOf = (id: number): number => Math.floor(id / SITE) - 1;

function drawSettings(random: Random, nodes: number, kind: LinkKind): Settings {
  const resendQueue = 16 << random.below(5);
  const inFlightMax = Math.min(resendQueue / 2, 4 + random.below(100));
  // A window that is larger than what is on its way leaves each acknowledgement to its timer: slow, and right all the same.
  const ackWindow = random.between(2, Math.min(50, random.percent(10) ? resendQueue : inFlightMax));
  const isExtended = random.percent(75) && kind === "sealed";
  const churns = random.percent(40) && isExtended;
  return {
    nodes,
    isExtended,
    churns,
    flowsMax: churns ? 96 : random.pick([96, 128, 256]),
    limits: { resendQueue, inFlightMax, ackWindow },
    staleMs: 1_000 + random.below(2_000),
    asksAtStart: random.percent(75),
    // Every fourth world begins shortly before the sequence numbers, which come from the wall clock, wrap.
    bornMs: random.percent(25) ? 26 * 2 ** 36 - 16 * random.below(600) : 1_800_000_000_000 + random.below(1_000_000),
  };
}

function drawKind(random: Random): LinkKind {
  const dice = random.below(100);
  return dice < 50 ? "sealed" : dice < 85 ? "checked" : "forging";
}
