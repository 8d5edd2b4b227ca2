/**
 * New flows for the primary's kernel, and how many of them arrive in the caches.
 *
 * The generator is a process of its own inside the primary's namespace, on the same processors as everything else.
 */
import { join } from "node:path";
import type { Namespace } from "../lab/namespace.ts";
import type { Pair } from "./pair.ts";

const GENERATOR = join(import.meta.dir, "../lab/generate.ts");
const GENERATOR_DEADLINE_MS = 120_000;
const POLL_MS_MIN = 2;
const POLL_MS_MAX = 50;

export interface Load {
  readonly count: number;
  /** Flows a second. */
  readonly rate: number | "max";
  /** Number of the first flow: flow number i is always the same. */
  readonly first: number;
}

export interface LoadReport {
  readonly flows: number;
  readonly seconds: number;
}

/** Inserts TCP flows with source NAT; returns when the kernel has taken all of them. */
export async function insertFlows(namespace: Namespace, { count, rate, first }: Load): Promise<LoadReport> {
  const flags = ["--count", `${count}`, "--rate", `${rate}`, "--first", `${first}`, "--snat", "--timeout", "3600"];
  return JSON.parse(
    await namespace.run([process.execPath, GENERATOR, ...flags], { deadlineMs: GENERATOR_DEADLINE_MS }),
  );
}

export interface Patience {
  readonly deadlineMs: number;
  /** Nothing more is to come once nothing came for so long. */
  readonly stableMs: number;
}

export interface Arrival {
  /** Flows that the primary's internal or the backup's external cache lacks in the end, whichever lacks more. */
  readonly missing: number;
  /** From the call until the last was there, or until patience ended. */
  readonly seconds: number;
  /** CPU time of both at that moment. */
  readonly cpuUs: readonly [primary: number, backup: number];
}

/**
 * Waits until both caches hold `wanted` flows, or no more come. Asks seldom at first, then as often as what is missing
 * comes closer: an answer costs the program CPU time, which is measured at the same time.
 */
export async function arrival({ primary, backup }: Pair, wanted: number, patience: Patience): Promise<Arrival> {
  const startMs = performance.now();
  let changedMs = startMs;
  let before = { external: 0, atMs: startMs };
  for (;;) {
    const { external } = await backup.counts();
    const nowMs = performance.now();
    if (external !== before.external) changedMs = nowMs;
    const spent = nowMs - startMs > patience.deadlineMs || nowMs - changedMs > patience.stableMs;
    if (external >= wanted || spent) {
      const { internal } = await primary.counts();
      const missing = Math.max(0, wanted - Math.min(internal, external));
      const cpuUs = [primary.cpuUs(), backup.cpuUs()] as const;
      if (missing === 0 || spent) return { missing, seconds: (nowMs - startMs) / 1000, cpuUs };
    }
    const perMs = (external - before.external) / (nowMs - before.atMs);
    before = { external, atMs: nowMs };
    const halfwayMs = perMs > 0 ? (wanted - external) / perMs / 2 : POLL_MS_MAX;
    await Bun.sleep(Math.min(Math.max(halfwayMs, POLL_MS_MIN), POLL_MS_MAX));
  }
}

const COMPLETE: Patience = { deadlineMs: 30_000, stableMs: 10_000 };

/** The same where nothing may be missing: throws when something is. */
export async function completeArrival(pair: Pair, wanted: number): Promise<Arrival> {
  const arrived = await arrival(pair, wanted, COMPLETE);
  if (arrived.missing > 0)
    throw new Error(`${pair.primary.program}: ${arrived.missing} of ${wanted} flows did not arrive on the backup`);
  return arrived;
}

/** Neither program loses any at this rate. */
const FILL_PER_SECOND = 80_000;

/** Gives the primary's kernel flows 0 to `flows - 1`, and returns once both caches have all of them. */
export async function fill(pair: Pair, flows: number): Promise<void> {
  await insertFlows(pair.primary.namespace, { count: flows, rate: FILL_PER_SECOND, first: 0 });
  await completeArrival(pair, flows);
}

/** What whoever is measured has seen before, in a flood and then in a trickle, so that compiled code is measured. */
export const WARM_UP_FLOWS = 60_000;
const WARM_UP_TRICKLE = { count: 30_000, rate: 15_000, first: WARM_UP_FLOWS - 30_000 };

/** Gives the kernel flows 0 to WARM_UP_FLOWS - 1. */
export async function insertWarmUp(namespace: Namespace): Promise<void> {
  await insertFlows(namespace, { count: WARM_UP_TRICKLE.first, rate: FILL_PER_SECOND, first: 0 });
  await insertFlows(namespace, WARM_UP_TRICKLE);
}

/** The same to a pair; returns once both caches have all of them. */
export async function warmUp(pair: Pair): Promise<void> {
  await insertWarmUp(pair.primary.namespace);
  await completeArrival(pair, WARM_UP_FLOWS);
}
