/**
 * A soak: load that goes on, faults at random moments, a quiet moment after each in which both nodes must agree, and memory
 * and descriptors that must not grow. Daemons are killed in the first part alone: growth is that of one process.
 */
import { readdirSync, readFileSync } from "node:fs";
import { median } from "../figures/statistics.ts";
import type { Lab } from "../lab/lab.ts";
import { statusOf } from "../netns/daemon-pair.ts";
import { Random } from "../sim/random.ts";
import { FAULTS, type Fault } from "./faults.ts";
import { type Load, World } from "./world.ts";

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly load: Load;
  /** Longest time between two faults. */
  readonly gapMs: number;
  readonly sampleMs: number;
  /** What garbage collection and the compiler leave to chance: less in an hour than in a minute. */
  readonly noiseBytes: number;
  readonly say: (line: string) => void;
}

/** Of both daemons, in the order of the sides. */
export interface Sample {
  readonly seconds: number;
  readonly bytes: readonly [number, number];
  readonly descriptors: readonly [number, number];
  readonly flows: number;
}

export interface Incident {
  readonly seconds: number;
  readonly name: string;
  /** How long the fault lasted, and how long until both nodes agreed again; why they did not. */
  readonly faultMs: number;
  readonly healMs: number;
  readonly error?: string;
}

export interface Outcome {
  readonly options: SoakOptions;
  readonly samples: readonly Sample[];
  readonly incidents: readonly Incident[];
  readonly calmSeconds: number;
  readonly flows: { readonly begun: number; readonly changed: number; readonly ended: number };
  /** Empty when all held. */
  readonly complaints: readonly string[];
}

/** Share of the time in which daemons are killed, and after it the share in which the last ones warm up. */
const KILLING = 0.25;
const WARM_UP = 0.15;
export async function soak(lab: Lab, options: SoakOptions): Promise<Outcome> {
  const { seed, load, gapMs, say } = options;
  const random = new Random(seed);
  const world = await World.start(lab, random, load);
  const startMs = performance.now();
  const seconds = (): number => (performance.now() - startMs) / 1_000;
  const totalSeconds = options.minutes * 60;
  const samples: Sample[] = [];
  const incidents: Incident[] = [];
  const sampler = setInterval(() => {
    const sample = sampleOf(world, seconds());
    if (sample !== undefined) samples.push(sample);
  }, options.sampleMs);
  try {
    await world.check();
    while (seconds() < totalSeconds) {
      world.resume();
      await Bun.sleep(random.below(gapMs));
      const incident = await happen(world, pick(random, seconds() < KILLING * totalSeconds), seconds);
      incidents.push(incident);
      const { name, faultMs, healMs, error } = incident;
      const { alive, begun } = world.population;
      const outcome = error === undefined ? `equal ${healMs.toFixed(0)} ms after it` : `FAILED: ${error}`;
      say(`${clock(incident.seconds)}  ${name} (${faultMs.toFixed(0)} ms): ${outcome}; ${alive} flows of ${begun}`);
    }
  } finally {
    world.pause();
    clearInterval(sampler);
  }
  const calmSeconds = (KILLING + WARM_UP) * totalSeconds;
  const { begun, changed, ended } = world.population;
  const complaints = [
    ...incidents
      .filter(({ error }) => error !== undefined)
      .map(({ seconds, name, error }) => `${clock(seconds)} ${name}: ${error}`),
    ...growth(
      samples.filter((sample) => sample.seconds >= calmSeconds),
      options.noiseBytes,
    ),
    ...(await overflows(world)),
    ...[...world.loadErrors].map((error) => `load: ${error}`),
  ];
  return { options, samples, incidents, calmSeconds, flows: { begun, changed, ended }, complaints };
}

export const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const pick = (random: Random, mayKill: boolean): Fault => {
  const possible = FAULTS.filter(({ kills }) => mayKill || kills === undefined);
  return possible[random.below(possible.length)]!;
};

async function happen(world: World, fault: Fault, seconds: () => number): Promise<Incident> {
  const at = seconds();
  const spent = { faultMs: 0, healMs: 0 };
  const startMs = performance.now();
  try {
    await fault.run(world);
    spent.faultMs = performance.now() - startMs;
    world.pause();
    await world.check();
    spent.healMs = performance.now() - startMs - spent.faultMs;
    return { seconds: at, name: fault.name, ...spent };
  } catch (error) {
    return { seconds: at, name: fault.name, ...spent, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Undefined while one of them is dead. */
function sampleOf(world: World, seconds: number): Sample | undefined {
  const pids = world.daemons.map(({ process }) => process.pid);
  try {
    const bytes = pids.map(
      (pid) => 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]),
    );
    const descriptors = pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length);
    return {
      seconds,
      bytes: [bytes[0]!, bytes[1]!],
      descriptors: [descriptors[0]!, descriptors[1]!],
      flows: world.population.alive,
    };
  } catch {
    return undefined;
  }
}

/** The second half of the calm part against its first: medians of memory and descriptors of each daemon. */
export function growth(samples: readonly Sample[], noiseBytes: number): string[] {
  if (samples.length < 8) return [`only ${samples.length} samples: too few to tell whether anything grows`];
  const half = samples.length >> 1;
  const parts = [samples.slice(0, half), samples.slice(half)] as const;
  return ([0, 1] as const).flatMap((i) => {
    const [before, after] = parts.map((part) => ({
      bytes: median(part.map(({ bytes }) => bytes[i])),
      descriptors: median(part.map(({ descriptors }) => descriptors[i])),
    }));
    const name = `daemon ${i + 1}`;
    const complaints: string[] = [];
    if (after!.bytes > before!.bytes * 1.05 + noiseBytes)
      complaints.push(`${name} grew from ${before!.bytes} to ${after!.bytes} bytes`);
    if (after!.descriptors > before!.descriptors)
      complaints.push(`${name} had ${before!.descriptors} descriptors, then ${after!.descriptors}`);
    return complaints;
  });
}

async function overflows(world: World): Promise<string[]> {
  const complaints: string[] = [];
  for (const side of world.sides) {
    const { counters } = await statusOf(side);
    for (const [subject, name] of [
      ["wire", "badPayload"],
      ["wire", "badSize"],
      ["wire", "incomplete"],
      ["kernel", "malformed"],
    ] as const)
      if (counters[subject]![name] !== 0) complaints.push(`${side.namespace.name} counts ${subject} ${name}`);
  }
  return complaints;
}
