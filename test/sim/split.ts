/**
 * Split brain: both nodes of a pair are primary for a while, each flow passes one of them at a time and changes over now and then,
 * and the link is bad or cut. Then one steps down, and the other one must have, without having seen a packet of it,
 *
 *   each flow that lives, as the node left it that saw it last
 *   none that has ended, but for what it had before and saw no end of
 *
 * What both saw while neither heard the other is in nobody's order: the one that stays keeps what it saw itself.
 */
import { MARK } from "../../src/flow/flow.ts";
import type { Node } from "./node.ts";
import { Violation } from "./violation.ts";
import { SERVICE_FLOWS, type World } from "./world.ts";

const TAKEOVER_MS = 20_000;
const SETTLE_MS = 60_000;
const HEAL_MS = 30_000;
const LOOK_MS = 10;
/** A cut link is noticed by either side within this time. */
const NOTICED_MS = 4_000;
/** They tell each other their clocks once in less than this. */
const STATE_MS = 2_500;
/** What the former primary's kernel still has runs out after so long, or later than the story goes on. */
const PURGE_MS = 3_000;
const PURGE_LATE_MS = 120_000;

/** What is true of a flow, whoever knows. */
interface Truth {
  side: Node;
  mark: number;
  isAlive: boolean;
  /** Nodes whose kernel saw it in this split. */
  readonly seenBy: Set<Node>;
  /** Both saw it, and not all that the one saw was known to the other. */
  isContested: boolean;
  isSeenInCut: boolean;
}

export function splitBrain(world: World): void {
  const { nodes, link, settings, backupsHaveTraffic, primary, random } = world;
  if (nodes.length > 2 || !settings.isExtended || backupsHaveTraffic || primary === undefined) return;
  if (settings.churns) return; // A full cache leaves flows that were taken on to the peer until its entry ends.
  const packetEveryMs = world.packetEveryMs;
  world.packetEveryMs = Number.POSITIVE_INFINITY;
  new Split(world, primary).tell();
  link.heal();
  world.packetEveryMs = packetEveryMs;
  world.runFor(random.below(2_000));
}

class Split {
  readonly #world: World;
  readonly #nodes: readonly [Node, Node];
  readonly #truth = new Map<number, Truth>();
  #marks = 0;

  constructor(world: World, primary: Node) {
    this.#world = world;
    this.#nodes = [primary, world.nodes[1 - primary.index]];
  }

  tell(): void {
    const world = this.#world;
    const { random } = world;
    const cut = random.percent(30) ? random.below(3) : -1;
    if (random.percent(50)) this.#weather();
    if (this.#nodes[0].replica?.role !== "master") this.#becomesPrimary(this.#nodes[0]);
    if (!world.runUntil(() => this.#nodes.every(({ isIdle }) => isIdle), SETTLE_MS, LOOK_MS))
      throw new Error("some work has no end");
    if (cut === 0) this.#cut();
    this.#becomesPrimary(this.#nodes[1]);
    if (cut !== 0) this.#settle();
    const phases = random.between(2, 5);
    const restart = world.splitRestarts ? random.between(1, phases) : 0;
    for (let phase = 1; phase <= phases; phase++) {
      if (phase === restart) this.#restart();
      if (cut === 1 && phase === phases) this.#cut();
      this.#traffic(random.between(10, 60));
      if (phase < phases && !this.#isCut) this.#settle();
    }
    if (this.#isCut) world.runFor(NOTICED_MS);
    const [loser, survivor] = random.percent(50) ? this.#nodes : this.#nodes.toReversed();
    this.#heal(loser, survivor, cut === 2);
  }

  /** While the two hear each other: of what moved unheard before it was killed its next life knows nothing. */
  #restart(): void {
    if (this.#isCut) return;
    this.#settle();
    this.#world.random.pick(this.#nodes).startAmidReign();
    this.#settle();
    this.#world.runFor(STATE_MS); // Before they have told each other their clocks again, both saw what moves.
  }

  #becomesPrimary(node: Node): void {
    let isDone = false;
    node.becomePrimary(() => {
      isDone = true;
    });
    if (!this.#world.runUntil(() => isDone, TAKEOVER_MS, LOOK_MS)) throw new Error("a takeover has no end");
  }

  /** `late`: the link was cut, if at all, while it stepped down. */
  #heal(loser: Node, survivor: Node, late: boolean): void {
    const world = this.#world;
    const { random, link } = world;
    const before = survivor.work.tookOn;
    const stood = new Set(survivor.kernel.flows.keys());
    const steps = (): void => loser.becomeBackup();
    if (late) this.#cut();
    if (this.#isCut && random.percent(50)) steps();
    else world.after(random.below(2_000), steps);
    world.primary = survivor;
    world.runFor(random.below(4_000));
    link.heal();
    world.runFor(2_000);
    if (!world.runUntil(() => survivor.work.tookOn > before, HEAL_MS, LOOK_MS))
      throw new Violation("healed", `node ${survivor.index} has taken nothing on after ${HEAL_MS} ms`);
    this.#check(survivor, stood);
    world.after(random.percent(50) ? PURGE_MS : PURGE_LATE_MS, () => {
      if (world.primary !== survivor || loser.replica?.role === "master") return; // The next split brain.
      for (const id of [...loser.kernel.flows.keys()]) loser.kernel.end(id);
    });
  }

  #check({ index, kernel }: Node, stood: ReadonlySet<number>): void {
    for (const [id, { side, mark, isAlive, isContested, isSeenInCut }] of this.#truth) {
      const entry = kernel.flows.get(id);
      const isOurs = side.index === index;
      const what = `flow ${id}, which node ${side.index} saw last, and node ${index} stays primary`;
      if (!isAlive && entry !== undefined && (isOurs || !stood.has(id)))
        throw new Violation("healed", `${what}: it has ended, and came back`);
      if (!isAlive || (isContested && !isOurs)) continue;
      if (entry === undefined) throw new Violation("healed", `${what}: it lives, and is missing`);
      // Who steps down before it hears the other one leaves it what it took over without knowing what had moved since.
      if (entry.words[MARK] !== mark && (isOurs || !isSeenInCut || !stood.has(id)))
        throw new Violation("healed", `${what}: its mark is ${entry.words[MARK]}, and was ${mark} last`);
    }
  }

  #traffic(packets: number): void {
    const world = this.#world;
    const { random } = world;
    const changesOver = new Set<number>();
    for (let left = packets; left > 0; left--) {
      world.runFor(1 + random.below(20));
      const id = random.below(SERVICE_FLOWS);
      if (random.percent(10)) this.#runsOut(id);
      let truth = this.#truth.get(id);
      if (truth === undefined) {
        truth = {
          side: random.pick(this.#nodes),
          mark: 0,
          isAlive: true,
          seenBy: new Set(),
          isContested: false,
          isSeenInCut: false,
        };
        this.#truth.set(id, truth);
        changesOver.add(id);
      } else if (!changesOver.has(id) && random.percent(30)) {
        truth.side = this.#other(truth.side);
      }
      changesOver.add(id); // Once in so long: two changes within a moment nobody can put in order.
      this.#packet(id, truth);
    }
  }

  /** A flow of which neither has seen a packet in this split ends at one of them. */
  #runsOut(id: number): void {
    const side = this.#world.random.pick(this.#nodes);
    if (this.#truth.has(id) || !side.kernel.flows.has(id)) return;
    side.kernel.end(id);
    this.#truth.set(id, {
      side,
      mark: 0,
      isAlive: false,
      seenBy: new Set([side]),
      isContested: false,
      isSeenInCut: false,
    });
  }

  #packet(id: number, truth: Truth): void {
    const { random } = this.#world;
    const { side } = truth;
    truth.seenBy.add(side);
    if (this.#isCut && truth.seenBy.size > 1) truth.isContested = true;
    truth.isSeenInCut = this.#isCut;
    truth.mark = ++this.#marks;
    side.kernel.marks(id, truth.mark);
    truth.isAlive = !random.percent(15);
    if (!truth.isAlive) side.kernel.end(id);
    else if (random.percent(5) && !this.#isCut) this.#other(side).kernel.end(id); // Nobody used that entry.
  }

  #other(node: Node): Node {
    return this.#nodes[0] === node ? this.#nodes[1] : this.#nodes[0];
  }

  /** Whatever the one said, the other one knows. */
  #settle(): void {
    const isSettled = ({ replica }: Node): boolean =>
      replica?.sessions.every((session) => session.queued === 0 && session.lagMs(this.#world.nowMs) === 0) === true;
    if (!this.#world.runUntil(() => this.#nodes.every(isSettled), SETTLE_MS, LOOK_MS))
      throw new Error("what was said is never acknowledged");
    this.#world.runFor(this.#world.random.below(6_000));
  }

  #weather(): void {
    const { link, random } = this.#world;
    for (const [a, b] of [
      [0, 1],
      [1, 0],
    ] as const) {
      link.faults[a][b].lossPercent = random.below(20);
      link.faults[a][b].reorderPercent = random.below(20);
      link.faults[a][b].duplicatePercent = random.below(20);
    }
  }

  get #isCut(): boolean {
    return this.#world.link.faults[0][1].cut;
  }

  /** Some time after what they said last: within it they cannot tell what the other one knew. */
  #cut(): void {
    const { link } = this.#world;
    this.#settle();
    this.#world.runFor(STATE_MS);
    link.faults[0][1].cut = true;
    link.faults[1][0].cut = true;
  }
}
