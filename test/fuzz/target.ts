/**
 * What is fuzzed: a target plays an episode, which is a life from its beginning and steps in it, all made from one seed.
 *
 * A step is bytes and a word that says where they go. A life applies steps one after the other and throws where a property
 * does not hold; nothing but the steps and the flavour it began with decides what happens, so what failed can be played
 * again, and without the steps that do not matter. What a step did is told as a short text: a step that did something new
 * in this episode is kept, and later ones are made from it too.
 */
import { Random } from "../sim/random.ts";

export interface Step {
  readonly kind: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Life {
  /** What the step did, such as the counters it raised. Throws when a property does not hold. */
  apply(step: Step): string | Promise<string>;
  /** Properties of a whole life. */
  end(): void | Promise<void>;
}

export interface Target {
  readonly name: string;
  /** How many steps an episode has. */
  readonly steps: number;
  /** How many cases a step counts for; none, if it is true traffic between them. */
  cases(step: Step): number;
  /** Ways to begin: 0 to flavours - 1. */
  readonly flavours: number;
  begin(flavour: number): Life | Promise<Life>;
  /** The next step; `kept` are steps of this episode that did something new. */
  make(random: Random, kept: readonly Step[]): Step;
  /** Lets go of what all its lives share. */
  close?(): Promise<void>;
}

export class Failure extends Error {
  readonly target: Target;
  readonly seed: number;
  readonly flavour: number;
  readonly steps: readonly Step[];

  constructor(target: Target, seed: number, flavour: number, steps: readonly Step[], reason: unknown) {
    const what = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    super(`${target.name}, seed ${seed}, case ${steps.length}: ${what}`);
    this.target = target;
    this.seed = seed;
    this.flavour = flavour;
    this.steps = steps;
  }
}

export interface Episode {
  readonly cases: number;
  /** All that the steps did, in one number: the same for the same seed. */
  readonly digest: bigint;
  /** What was done by at least one step. */
  readonly outcomes: ReadonlySet<string>;
}

const KEPT_MAX = 256;
/** Of the processor's time, that is: thousands of times what a step takes. */
const STEP_MAX_MS = 3_000;

const processorMs = (): number => process.cpuUsage().user / 1_000;

export async function play(target: Target, seed: number, steps = target.steps): Promise<Episode> {
  const random = new Random(seed);
  const flavour = random.below(target.flavours);
  const life = await target.begin(flavour);
  const played: Step[] = [];
  const kept: Step[] = [];
  const outcomes = new Set<string>();
  let digest = 0n;
  try {
    while (played.length < steps) {
      const step = target.make(random, kept);
      played.push(step);
      const beforeMs = processorMs();
      const applied = life.apply(step);
      const outcome = typeof applied === "string" ? applied : await applied;
      const tookMs = processorMs() - beforeMs;
      holds(tookMs < STEP_MAX_MS, `a step took ${tookMs.toFixed(0)} ms of the processor's time`);
      digest = Bun.hash.wyhash(outcome, digest);
      if (outcomes.has(outcome)) continue;
      outcomes.add(outcome);
      if (kept.length < KEPT_MAX) kept.push(step);
    }
    await life.end();
  } catch (error) {
    throw new Failure(target, seed, flavour, played, error);
  }
  return { cases: played.reduce((sum, step) => sum + target.cases(step), 0), digest, outcomes };
}

/** Whether these steps alone, in a life of their own, fail. */
async function fails(target: Target, flavour: number, steps: readonly Step[]): Promise<boolean> {
  const life = await target.begin(flavour);
  try {
    for (const step of steps) await life.apply(step);
    await life.end();
    return false;
  } catch {
    return true;
  }
}

/** Fewer steps, then fewer bytes in the last one, as long as it still fails; stops looking after `budgetMs`. */
export async function minimise(failure: Failure, budgetMs: number): Promise<readonly Step[]> {
  const { target, flavour } = failure;
  const untilMs = performance.now() + budgetMs;
  let steps = failure.steps;
  if (!(await fails(target, flavour, steps))) return steps; // It needed what came before this life.
  for (let chunk = steps.length >>> 1; chunk > 0; chunk >>>= 1) {
    for (let at = 0; at < steps.length && performance.now() < untilMs; ) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + chunk)];
      if (await fails(target, flavour, fewer)) steps = fewer;
      else at += chunk;
    }
  }
  const last = steps.at(-1);
  if (last === undefined) return steps;
  let { bytes } = last;
  for (let chunk = bytes.length >>> 1; chunk > 0; chunk >>>= 1) {
    for (let at = 0; at < bytes.length && performance.now() < untilMs; ) {
      const shorter = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + chunk)]);
      const attempt = [...steps.slice(0, -1), { kind: last.kind, bytes: shorter }];
      if (await fails(target, flavour, attempt)) {
        bytes = shorter;
        steps = attempt;
      } else at += chunk;
    }
  }
  return steps;
}

/** A property of a life. */
export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
