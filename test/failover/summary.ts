/** From observations to what they say: sums and medians of each row's scenario, and goals met or missed. */
import { type Summary, summarize } from "../figures/statistics.ts";
import { type Observation, OTHERS, type Other, SCENARIOS, type Scenario, type Survival } from "./observation.ts";
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
  readonly others: Readonly<Record<Other, Survival>>;
  readonly late: Survival;
  readonly resetsInside: number;
  readonly resetsOutside: number;
  readonly unreachables: number;
  readonly invalid: number;
  readonly retransmittedTwice: number;
  readonly flowsMissing: number;
  readonly detection: Summary;
  /** Of the runs in which the pushed datagrams went on; undefined where there is none. */
  readonly pushLate: Summary | undefined;
  /** The whole silence, VRRP's detection included. */
  readonly pushGap: Summary | undefined;
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
  type Numbers = { [K in keyof Observation]-?: Observation[K] extends number ? K : never }[keyof Observation];
  const sum = (key: Numbers): number => observations.reduce((total, one) => total + one[key], 0);
  const survival = (of: (one: Observation) => Survival): Survival => {
    const add = (key: keyof Survival): number => observations.reduce((total, one) => total + of(one)[key], 0);
    return { connections: add("connections"), survivors: add("survivors") };
  };
  const spread = (key: Numbers): Summary => summarize(observations.map((one) => one[key]))!;
  const summary = {
    ...{ subject, flows, input, scenario, runs: observations.length },
    connections: sum("connections"),
    survivors: sum("survivors"),
    youngConnections: sum("youngConnections"),
    youngSurvivors: sum("youngSurvivors"),
    others: Object.fromEntries(
      OTHERS.map((other) => [other, survival(({ others }) => others[other])]),
    ) as ScenarioSummary["others"],
    late: survival(({ late }) => late),
    resetsInside: sum("resetsInside"),
    resetsOutside: sum("resetsOutside"),
    unreachables: sum("unreachables"),
    invalid: sum("invalid"),
    retransmittedTwice: sum("retransmittedTwice"),
    flowsMissing: sum("flowsMissing"),
    detection: spread("detectionMs"),
    pushLate: summarize(observations.filter(isPushed).map(({ pushLateMs }) => pushLateMs)),
    pushGap: summarize(observations.filter(isPushed).map(({ pushGapMs }) => pushGapMs)),
    tcpLate: spread("tcpLateMs"),
    tcpGap: spread("tcpGapMs"),
    lastFlow: spread("lastFlowMs"),
    script: spread("scriptMs"),
    cpu: spread("cpuMs"),
  };
  return { ...summary, goals: subject.program === "ctsync" ? judge(summary) : [] };
}

const isPushed = ({ others }: Observation): boolean => isWhole(others.push);

/** None of them died. */
export const isWhole = ({ connections, survivors }: Survival): boolean => survivors === connections;

function judge(found: Omit<ScenarioSummary, "goals">): Goal[] {
  const { runs, connections, survivors, others, pushLate, subject, flows } = found;
  const resets = found.resetsInside + found.resetsOutside;
  const goals = [
    {
      text: `every connection survives, in ${RUNS_WANTED} runs`,
      isMet: survivors === connections && runs >= RUNS_WANTED,
    },
    { text: "so does all other traffic", isMet: OTHERS.every((other) => isWhole(others[other])) },
    { text: "no reset", isMet: resets === 0 },
    { text: "one retransmission after MASTER", isMet: found.retransmittedTwice === 0 },
  ];
  if (flows > STALL_FLOWS_MAX && !subject.isLive) return goals;
  const isShort = pushLate !== undefined && pushLate.max <= STALL_MS_MAX;
  return [...goals, { text: `stall ≤ ${STALL_MS_MAX} ms`, isMet: isShort }];
}
