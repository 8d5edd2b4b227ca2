/** Results that nobody observed, for the tests of what is made from results. */
import { inventResults } from "../bench/invented-results.ts";
import { type Observation, OTHERS, type Other, SCENARIOS, type Scenario, type Survival } from "./observation.ts";
import type { Results, RowResults } from "./results.ts";
import { SUBJECTS } from "./subjects.ts";

/** Of each kind so many, of which the named ones died. */
export function inventOthers(...dead: readonly Other[]): Observation["others"] {
  const of = (other: Other): Survival => ({ connections: 20, survivors: dead.includes(other) ? 19 : 20 });
  return Object.fromEntries(OTHERS.map((other) => [other, of(other)])) as Observation["others"];
}

export const inventObservation = (scenario: Scenario, but: Partial<Observation> = {}): Observation => ({
  ...{ scenario, connections: 200, survivors: 200, youngConnections: 0, youngSurvivors: 0 },
  others: inventOthers(),
  late: { connections: 0, survivors: 0 },
  ...{ resetsInside: 0, resetsOutside: 0, resetsByHosts: 0, unreachables: 0, invalid: 0 },
  ...{
    detectionMs: 650,
    pushGapMs: 700,
    pushLateMs: 12,
    hostsPausedMs: 0,
    tcpGapMs: 1_400,
    tcpLateMs: 700,
    retransmittedTwice: 0,
  },
  ...{ lastFlowMs: 20, scriptMs: 90, flowsMissing: 0, cpuMs: 60, fates: [], told: [] },
  ...but,
});

export function inventRow(
  subject: string,
  but: Partial<RowResults> = {},
  observed: Partial<Observation> = {},
): RowResults {
  const cycle = { elapsedMs: 9_000, observations: SCENARIOS.map((scenario) => inventObservation(scenario, observed)) };
  return { subject, flows: 100_000, input: "answer", cycles: Array.from({ length: 20 }, () => cycle), ...but };
}

export function inventRun(): Results {
  const { startedAt, machine, versions } = inventResults([]);
  const dead = {
    survivors: 78,
    resetsOutside: 61,
    others: inventOthers("push", "ftp"),
    fates: ["talk 3, port 40003: ECONNRESET"],
  };
  const rows = [0, 10_000, 100_000, 500_000].flatMap((flows) =>
    SUBJECTS.flatMap(({ id }, at) => [
      inventRow(id, { flows, input: "answer" }, at < 2 ? {} : dead),
      inventRow(id, { flows, input: "drop" }, { pushLateMs: 10 + (at * flows) / 100 }),
    ]),
  );
  rows[0]!.cycles.push({ elapsedMs: 100, observations: [], failure: "the peer | never came" });
  return { startedAt, machine, versions, rows };
}
