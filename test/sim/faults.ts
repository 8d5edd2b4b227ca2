/** Faults of every kind, one drawn at a time. What a fault begins, `heal` ends. */
import { damage } from "./damage.ts";
import type { Node } from "./node.ts";
import type { World } from "./world.ts";

/** Datagrams of the open channel live no longer than this, so a daemon that stays down longer has none left. */
const OPEN_DELAY_MS = 400;
/** VRRP needs this long to miss a primary; datagrams of the dead one have arrived by then. */
const FAILOVER_MS = 1_000;
/** How long flows that a former primary still holds live on. */
const PURGE_MS = 3_000;
/** Longer than the story goes on: what nodes that tell each other whose a flow is need not wait for. */
const PURGE_LATE_MS = 120_000;

export class Faults {
  readonly #world: World;
  #key = 0;
  /** A role is changing, or a machine is away: one such thing at a time. */
  #isBusy = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** One more fault begins. */
  draw(): void {
    const { random } = this.#world;
    random.pick([
      () => this.weather(),
      () => this.weather(),
      () => this.#cut(),
      () => this.#cut(),
      () => this.#healLinks(),
      () => this.#slow(),
      () => this.overrun(),
      () => this.#restart(random.percent(40)),
      () => this.#restart(false),
      () => this.#changeRoles(),
      () => this.#changeRoles(),
      () => this.#jumpClock(),
      () => this.#rotateKeys(),
      () => this.#command(),
      () => this.#damage(),
      () => this.#damage(),
    ])();
  }

  /** Every direction does with datagrams what a bad network does. */
  weather(): void {
    const { random, link, nodes } = this.#world;
    for (const [from, row] of link.faults.entries())
      for (const [to, faults] of row.entries()) {
        if (from === to || random.percent(30)) continue;
        faults.lossPercent = random.below(40);
        faults.reorderPercent = random.below(30);
        faults.duplicatePercent = random.below(20);
        faults.corruptPercent = random.percent(50) ? random.below(8) : 0;
        const outlives = link.kind === "sealed" && nodes.length === 2;
        faults.delayMaxMs = outlives && random.percent(50) ? 4_000 : OPEN_DELAY_MS;
      }
  }

  /** More events at once than the netlink socket holds. */
  overrun(): void {
    const world = this.#world;
    const node = world.random.pick(world.nodes);
    node.eventsMax = world.random.between(2, 16);
    for (let left = world.random.between(20, 120); left > 0; left--) world.packet(node);
    world.after(world.random.between(1, 2_000), () => {
      node.eventsMax = Number.POSITIVE_INFINITY;
    });
  }

  /** Everything is as it should be from now on; what was broken is left as it is. */
  heal(): void {
    const { nodes, link } = this.#world;
    link.heal();
    for (const node of nodes) {
      node.isSlow = false;
      node.eventsMax = Number.POSITIVE_INFINITY;
      node.keys = 1 << this.#key;
      node.sendingKey = this.#key;
    }
  }

  /** No machine is away, no role about to change. */
  get isSettled(): boolean {
    return !this.#isBusy && this.#world.nodes.every(({ isUp }) => isUp);
  }

  /** One direction, one pair, or a node from all others. */
  #cut(): void {
    const { random, link, nodes } = this.#world;
    const a = random.pick(nodes).index;
    const b = random.pick(nodes.filter(({ index }) => index !== a)).index;
    const what = random.below(3);
    link.faults[a][b].cut = true;
    if (what >= 1) link.faults[b][a].cut = true;
    if (what < 2) return;
    for (const { index } of nodes) {
      link.faults[a][index].cut = true;
      link.faults[index][a].cut = true;
    }
  }

  #healLinks(): void {
    for (const row of this.#world.link.faults) for (const faults of row) faults.cut = false;
  }

  #slow(): void {
    const node = this.#world.random.pick(this.#world.nodes);
    node.isSlow = !node.isSlow;
  }

  /** The daemon of any node, or the whole machine of a backup. */
  #restart(boots: boolean): void {
    const { random, nodes, primary } = this.#world;
    const node = random.pick(nodes);
    if (this.#isBusy || !node.isUp) return;
    if (boots && node !== primary) node.kernel.boot();
    this.#down(node, random.between(0, 1_500));
  }

  #down(node: Node, downMs: number): void {
    node.stop();
    const outlives = this.#world.link.kind === "sealed";
    this.#world.after(outlives ? downMs : Math.max(downMs, OPEN_DELAY_MS + 50), () => {
      if (!node.isUp) node.start();
    });
  }

  #changeRoles(): void {
    const { random, nodes, primary } = this.#world;
    if (this.#isBusy || primary === undefined || this.#world.backupsHaveTraffic) return;
    const heir = random.pick(nodes.filter((node) => node !== primary));
    if (!heir.isUp || !primary.isUp) return;
    // With three nodes a former primary that lives on tells the third what the new one tells better: docs/simulation.md.
    if (nodes.length === 2 && random.percent(60)) this.#handOver(primary, heir);
    else this.#die(primary, heir);
  }

  /** Both live: keepalived tells them so in either order. */
  #handOver(from: Node, to: Node): void {
    const world = this.#world;
    this.#isBusy = true;
    world.primary = undefined;
    world.after(world.random.below(300), () => from.becomeBackup());
    world.after(world.random.below(300), () => this.#promote(to));
    world.after(world.settings.isExtended && world.random.percent(50) ? PURGE_LATE_MS : PURGE_MS, () =>
      this.#purge(from),
    );
  }

  /** What a former primary holds runs out, unless it took over again, were it as the second one. */
  #purge(node: Node): void {
    if (this.#world.primary === node || this.#isBusy || node.replica?.role === "master") return;
    for (const id of [...node.kernel.flows.keys()]) node.kernel.end(id);
  }

  /** The machine of the primary dies and comes back as a backup. */
  #die(from: Node, to: Node): void {
    const world = this.#world;
    this.#isBusy = true;
    world.primary = undefined;
    from.stop();
    from.kernel.boot();
    world.after(world.random.between(FAILOVER_MS, 2_000), () => {
      this.#promote(to);
      this.#down(from, world.random.between(0, 3_000));
    });
  }

  #promote(node: Node): void {
    const world = this.#world;
    if (!node.isUp) {
      world.after(100, () => this.#promote(node));
      return;
    }
    node.becomePrimary(() => {
      world.primary = node;
      this.#isBusy = false;
    });
  }

  /** The wall clock alone: it is where a life's first sequence number comes from. */
  #jumpClock(): void {
    const { random, nodes } = this.#world;
    const jumpMs = random.pick([16, 1_000, 60_000, 86_400_000, 2 ** 35, 2 ** 35 + 1_000]);
    random.pick(nodes).clockOffsetMs += random.percent(50) ? jumpMs : -jumpMs;
  }

  /** Each node takes the new key beside the old one, then uses it, then drops the old one; some do it too soon. */
  #rotateKeys(): void {
    const world = this.#world;
    const { random } = world;
    const [old, key] = [this.#key, (this.#key + 1) % 30];
    this.#key = key;
    for (const node of world.nodes) {
      world.after(random.below(300), () => {
        node.keys |= 1 << key;
      });
      world.after(random.between(random.percent(80) ? 300 : 0, 600), () => {
        if (this.#key === key) node.sendingKey = key;
      });
      world.after(random.between(600, 1_200), () => {
        if (this.#key === key) node.keys &= ~(1 << old);
      });
    }
  }

  /** What two ctsync nodes find and mend by themselves: an external cache that is not what it was told. */
  #damage(): void {
    const { random, nodes, settings } = this.#world;
    if (settings.isExtended) damage(this.#world, random.pick(nodes), random.between(1, 20));
  }

  #command(): void {
    const { random, nodes } = this.#world;
    random.pick(nodes).command(random.pick(["bulk", "request", "resync"]));
  }
}
