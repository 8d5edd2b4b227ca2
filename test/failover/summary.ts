/** From observations to what they say: sums and medians of each row's scenario, and goals met or missed. */
import { type Summary, summarize } from "../figures/statistics.ts";
import type { Observation, Scenario } from "./observation.ts";
import { SCENARIOS } from "./observation.ts";
import type { Results, RowResults } from "./results.ts";
import { SUBJECTS, type Subject } from "./subjects.ts";

/** The stall beyond VRRP's own detection that nobody notices; it is judged at tables up to this size, and in live mode at all. */
const STALL_MS_MAX = 50;
const STALL_FLOWS_MAX = 100_000;
const RUNS_WANTED = 20;

export interface Goal {
  readonly text: string;
  readonly isMet: boolean;
}

export interface ScenarioSummary {
  readonly subject: Subject;
  readonly flows: number;
  readonly input: RowResults["input"];
  readonly scenario: Scenario;
  readonly runs: number;
  readonly connections: number;
  readonly survivors: number;
  readonly youngConnections: number;
  readonly youngSurvivors: number;
  readonly sshRuns: number;
  readonly bulkRuns: number;
  readonly pushRuns: number;
  readonly resetsInside: number;
  readonly resetsOutside: number;
  readonly unreachables: number;
  readonly invalid: number;
  readonly retransmittedTwice: number;
  readonly flowsMissing: number;
  readonly detection: Summary;
  /** Of the runs in which the pushed datagrams went on; undefined where there is none. */
  readonly pushLate: Summary | undefined;
  readonly tcpLate: Summary;
  readonly tcpGap: Summary;
  readonly lastFlow: Summary;
  readonly script: Summary;
  readonly cpu: Summary;
  /** Of ctsync alone: the others are there to be compared with. */
  readonly goals: readonly Goal[];
}

/** In the order of table size, INPUT chain, scenario and subject. */
export function summarizeResults(results: Results): ScenarioSummary[] {
  const place = ({ flows, input, scenario, subject }: ScenarioSummary): number[] => [
    flows,
    input === "answer" ? 0 : 1,
    SCENARIOS.indexOf(scenario),
    SUBJECTS.indexOf(subject),
  ];
  return results.rows.flatMap(summarizeRow).sort((one, other) => firstDifference(place(one), place(other)));
}

const firstDifference = (one: readonly number[], other: readonly number[]): number =>
  one.map((value, at) => value - other[at]!).find((difference) => difference !== 0) ?? 0;

function summarizeRow(row: RowResults): ScenarioSummary[] {
  const subject = SUBJECTS.find(({ id }) => id === row.subject);
  if (subject === undefined) return []; // of a file written before a subject was renamed
  return SCENARIOS.flatMap((scenario) => {
    const observations = row.cycles
      .flatMap((cycle) => cycle.observations)
      .filter((observation) => observation.scenario === scenario);
    return observations.length === 0 ? [] : [summarizeScenario(subject, row, scenario, observations)];
  });
}

function summarizeScenario(
  subject: Subject,
  { flows, input }: RowResults,
  scenario: Scenario,
  observations: readonly Observation[],
): ScenarioSummary {
  type Numbers = { [K in keyof Observation]: Observation[K] extends number ? K : never }[keyof Observation];
  const sum = (key: Numbers): number => observations.reduce((total, one) => total + one[key], 0);
  const runsOf = (key: "ssh" | "bulk" | "push"): number => observations.filter((one) => one[key]).length;
  const spread = (key: Numbers): Summary => summarize(observations.map((one) => one[key]))!;
  const summary = {
    ...{ subject, flows, input, scenario, runs: observations.length },
    connections: sum("connections"),
    survivors: sum("survivors"),
    youngConnections: sum("youngConnections"),
    youngSurvivors: sum("youngSurvivors"),
    sshRuns: runsOf("ssh"),
    bulkRuns: runsOf("bulk"),
    pushRuns: runsOf("push"),
    resetsInside: sum("resetsInside"),
    resetsOutside: sum("resetsOutside"),
    unreachables: sum("unreachables"),
    invalid: sum("invalid"),
    retransmittedTwice: sum("retransmittedTwice"),
    flowsMissing: sum("flowsMissing"),
    detection: spread("detectionMs"),
    pushLate: summarize(observations.filter(({ push }) => push).map(({ pushLateMs }) => pushLateMs)),
    tcpLate: spread("tcpLateMs"),
    tcpGap: spread("tcpGapMs"),
    lastFlow: spread("lastFlowMs"),
    script: spread("scriptMs"),
    cpu: spread("cpuMs"),
  };
  return { ...summary, goals: subject.program === "ctsync" ? judge(summary) : [] };
}

function judge(found: Omit<ScenarioSummary, "goals">): Goal[] {
  const { runs, connections, survivors, sshRuns, bulkRuns, pushRuns, pushLate, subject, flows } = found;
  const streams = sshRuns + bulkRuns + pushRuns;
  const resets = found.resetsInside + found.resetsOutside;
  const goals = [
    {
      text: `every connection survives, in ${RUNS_WANTED} runs`,
      isMet: survivors === connections && runs >= RUNS_WANTED,
    },
    { text: "so do ssh, bulk transfer and pushed datagrams", isMet: streams === 3 * runs },
    { text: "no reset", isMet: resets === 0 },
    { text: "one retransmission after MASTER", isMet: found.retransmittedTwice === 0 },
  ];
  if (flows > STALL_FLOWS_MAX && !subject.isLive) return goals;
  const isShort = pushLate !== undefined && pushLate.max <= STALL_MS_MAX;
  return [...goals, { text: `stall ≤ ${STALL_MS_MAX} ms`, isMet: isShort }];
}
