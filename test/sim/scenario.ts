/** One seed's story: faults for a while, then none, then everything must come right. */
import type { Code } from "./code.ts";
import { falseProof, firstDifference, firstUnproven } from "./converged.ts";
import { Faults } from "./faults.ts";
import { splitBrain } from "./split.ts";
import { Violation } from "./violation.ts";
import { type Fixed, World } from "./world.ts";

/** Caches are equal this long after the last fault, and the last packet, at the latest. */
const CONVERGE_MS = 30_000;
/** And are known to be, by nodes that can know it, this much later. */
const PROVEN_MS = 15_000;
/** A forged number is believed for so long at most: ASTRAY_MS of the receiver and what it takes to be heard again. */
const FORGED_MS = 12_000;
const LOOK_MS = 250;
const REREADS = 10;
/** About as long as one takes. */
const REREAD_MS = 12;

/** A packet each millisecond, while the tables are read: what a flow is in the end, an event and an entry of a dump both say. */
function rereadUnderLoad(world: World): void {
  world.packetEveryMs = 0.5;
  for (let i = 0; i < REREADS; i++) {
    for (const node of world.nodes) node.command("resync");
    world.runFor(REREAD_MS);
  }
}

export interface Outcome {
  readonly trace: number;
  /** How long it took after the last packet until all caches were equal. */
  readonly convergedMs: number;
}

/** Throws a `Violation` if the code under test does what it must not. */
export function runSeed(seed: number, code: Code, fixed: Fixed = {}): Outcome {
  try {
    return tell(seed, code, fixed);
  } catch (error) {
    if (error instanceof Violation) throw error;
    throw new Violation("no-crash", error instanceof Error ? `${error.stack}` : `${error}`);
  }
}

function tell(seed: number, code: Code, fixed: Fixed): Outcome {
  const world = new World(seed, code, fixed);
  const { random, nodes } = world;
  const faults = new Faults(world);
  if (random.percent(50)) faults.weather(); // Greetings too are lost, late, and come twice.
  for (let left = random.between(4, 8); left > 0; left--) {
    world.runFor(random.between(200, 3_000));
    faults.draw();
    if (random.percent(30)) faults.draw();
  }
  world.runFor(random.between(500, 3_000));
  faults.heal();
  if (!world.runUntil(() => faults.isSettled, 20_000, LOOK_MS))
    throw new Error("the story itself has no end: a machine stays away, or a takeover is never done");
  faults.heal();
  if (world.link.kind === "forging") {
    world.runFor(FORGED_MS);
    for (const node of nodes) for (const command of ["request", "bulk", "resync"] as const) node.command(command);
  }
  world.runFor(1_500);
  if (fixed.splits ?? seed % 4 === 1) splitBrain(world);
  if (random.percent(40)) faults.overrun(); // Nothing that comes later covers up what the reread missed.
  if (seed % 3 === 0) rereadUnderLoad(world);
  world.packetEveryMs = Number.POSITIVE_INFINITY;
  const quietMs = world.nowMs;
  const isEqual = (): boolean => {
    const wrong = falseProof(world, quietMs);
    if (wrong !== undefined) throw new Violation("proven", `and is not: ${wrong}`);
    return firstDifference(world) === undefined;
  };
  if (!world.runUntil(isEqual, CONVERGE_MS, LOOK_MS))
    throw new Violation("converges", `not after ${CONVERGE_MS} ms: ${firstDifference(world)}`);
  if (!world.runUntil(() => firstUnproven(world, quietMs) === undefined, PROVEN_MS, LOOK_MS))
    throw new Violation("proven", `not after ${PROVEN_MS} ms: ${firstUnproven(world, quietMs)}`);
  const convergedMs = world.nowMs - quietMs;
  world.runFor(5_000);
  const later = firstDifference(world);
  if (later !== undefined) throw new Violation("converges", `and did not last: ${later}`);
  return { trace: world.link.trace, convergedMs };
}
