/** Two daemons with a load that goes on in the background, which of them is primary, and what must hold in a quiet moment. */
import { join } from "node:path";
import { compareLines, describe } from "../lab/compare.ts";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import type { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { connected, kernelFlows, type Side, type Sides, start, startPair, statusOf } from "../netns/daemon-pair.ts";
import { converged, follows, makeFaultSides, notify } from "../netns/fault-pair.ts";
import { Random } from "../sim/random.ts";
import { Population } from "./population.ts";

const TICK_MS = 250;
const EMPTY_DEADLINE_MS = 30_000;
/** Small, so that bursts overrun it. */
const BUFFER_BYTES = 262_144;
/** A backup forgets its own kernel's flows soon, so that they do not live on beside the primary's. */
const PURGE_SECONDS = 2;

export interface Load {
  readonly alive: number;
  /** New flows a second, as many that end, and as many that change. */
  readonly perSecond: number;
  /** The link has a key: both know that the other is a ctsync too. Else they speak as to a conntrackd. */
  readonly sealed: boolean;
  /** Whether the backup's kernel follows the primary, or is told at a takeover. */
  readonly apply: "live" | "commit";
}

export class World {
  readonly sides: Sides;
  readonly daemons: [Daemon, Daemon];
  readonly population: Population;
  readonly random: Random;
  primary: 0 | 1 = 0;
  /** What the kernel refused of the load itself. */
  readonly loadErrors = new Set<string>();
  readonly #load: Load;
  #timer: NodeJS.Timeout | undefined;

  static async start(lab: Lab, random: Random, load: Load): Promise<World> {
    const keyFile = join(lab.directory, "link.key"); // Of both: they share the disk.
    if (load.sealed) await succeed([CTSYNC, "keygen", keyFile]);
    const sides = await makeFaultSides(lab, {
      link: load.sealed ? { key_file: keyFile } : {},
      sync: { purge_timeout_seconds: PURGE_SECONDS, apply: load.apply },
      netlink: { buffer_bytes: BUFFER_BYTES, buffer_max_bytes: BUFFER_BYTES },
    });
    const world = new World(sides, await startPair(sides), random, load);
    await notify(sides[0], "master");
    await notify(sides[1], "backup");
    world.population.begin(sides[0], load.alive);
    return world;
  }

  private constructor(sides: Sides, daemons: [Daemon, Daemon], random: Random, load: Load) {
    this.sides = sides;
    this.daemons = daemons;
    this.random = random;
    this.#load = load;
    this.population = new Population(new Random(random.word())); // Its own, so that the load does not shift the faults.
  }

  get backup(): 0 | 1 {
    return this.primary === 0 ? 1 : 0;
  }

  get primarySide(): Side {
    return this.sides[this.primary];
  }

  get backupSide(): Side {
    return this.sides[this.backup];
  }

  resume(): void {
    const each = Math.max(1, Math.round((this.#load.perSecond * TICK_MS) / 1_000));
    this.#timer ??= setInterval(() => {
      try {
        this.#tick(each);
      } catch (error) {
        this.loadErrors.add(error instanceof Error ? error.message : String(error));
      }
    }, TICK_MS);
  }

  #tick(each: number): void {
    const side = this.primarySide;
    this.population.begin(side, each);
    this.population.change(side, each);
    if (this.population.alive > this.#load.alive) this.population.end(side, this.population.alive - this.#load.alive);
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** kill -9, without a farewell. */
  async kill(i: 0 | 1): Promise<void> {
    this.daemons[i].process.kill("SIGKILL");
    await this.daemons[i].process.exited;
  }

  async restart(i: 0 | 1): Promise<void> {
    this.daemons[i] = await start(this.sides[i]);
    await connected(this.sides[i]);
  }

  /** Waits until a backup's own kernel has forgotten what it had from its time as primary. One that follows has what the primary has. */
  async forgets(i: 0 | 1): Promise<void> {
    if (this.#load.apply === "live") return;
    const side = this.sides[i];
    await until(
      () => kernelFlows(side).length === 0,
      EMPTY_DEADLINE_MS,
      `the kernel of ${side.namespace.name} forgets`,
      200,
    );
  }

  /** The backup takes over. Its kernel must then have, flow by flow, what the old primary's had. */
  async takeOver(before: () => Promise<void> = async () => {}): Promise<void> {
    await converged(this.primarySide, this.backupSide);
    const wanted = kernelFlows(this.primarySide);
    await before();
    const { steps } = await notify(this.backupSide, "master");
    this.primary = this.backup;
    const failed = steps.filter(({ ok }) => !ok);
    if (failed.length > 0) throw new Error(`the takeover failed: ${JSON.stringify(failed)}`);
    const said = describe(compareLines(wanted, kernelFlows(this.primarySide)));
    if (said !== "equal") throw new Error(`after the takeover the kernel differs: ${said}`);
  }

  /** The quiet moment: kernel = internal = the peer's external cache (= its kernel, if that follows), and as many flows as we put there. */
  async check(): Promise<void> {
    await Promise.all(this.sides.map(connected)); // One that was deaf may take its peer for silent a little longer.
    await converged(this.primarySide, this.backupSide);
    if (this.#load.apply === "live") await follows(this.primarySide, this.backupSide);
    const found = kernelFlows(this.primarySide).length;
    if (found !== this.population.alive) throw new Error(`the kernel has ${found} flows of ${this.population.alive}`);
    for (const side of this.sides) {
      const { counters } = await statusOf(side);
      const bad = ["internalFull", "externalFull", "destroysForgotten"].filter((name) => counters.cache![name] !== 0);
      if (bad.length > 0) throw new Error(`${side.namespace.name} counts ${bad}`);
    }
  }
}
