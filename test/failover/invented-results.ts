/** Results that nobody observed, for the tests of what is made from results. */
import { inventResults } from "../bench/invented-results.ts";
import { type Observation, SCENARIOS, type Scenario } from "./observation.ts";
import type { Results, RowResults } from "./results.ts";
import { SUBJECTS } from "./subjects.ts";

export const inventObservation = (scenario: Scenario, but: Partial<Observation> = {}): Observation => ({
  ...{ scenario, connections: 200, survivors: 200, youngConnections: 0, youngSurvivors: 0 },
  ...{
    ssh: true,
    bulk: true,
    push: true,
    resetsInside: 0,
    resetsOutside: 0,
    resetsByHosts: 0,
    unreachables: 0,
    invalid: 0,
  },
  ...{ detectionMs: 650, pushGapMs: 700, pushLateMs: 12, tcpGapMs: 1_400, tcpLateMs: 700, retransmittedTwice: 0 },
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
  const dead = { survivors: 78, resetsOutside: 61, push: false, fates: ["connection 3, port 40003: ECONNRESET"] };
  const rows = [0, 10_000, 100_000, 500_000].flatMap((flows) =>
    SUBJECTS.flatMap(({ id }, at) => [
      inventRow(id, { flows, input: "answer" }, at % 2 === 0 ? {} : dead),
      inventRow(id, { flows, input: "drop" }, { pushLateMs: 10 + (at * flows) / 100 }),
    ]),
  );
  rows[0]!.cycles.push({ elapsedMs: 100, observations: [], failure: "the peer | never came" });
  return { startedAt, machine, versions, rows };
}
