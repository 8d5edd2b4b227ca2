/**
 * The pictures, a panel for each event: how many of the connections go on, and how long pushed datagrams stand still,
 * by the size of the table.
 */
import { formatNumber } from "../figures/quantity.ts";
import {
  disc,
  horizontal,
  MARGIN,
  PAGE_WIDTH,
  rectangle,
  renderPage,
  text,
  textWidth,
  vertical,
  whisker,
} from "../figures/svg.ts";
import { SCENARIO_TITLES, SCENARIOS } from "./observation.ts";
import { SUBJECTS } from "./subjects.ts";
import { isWhole, type ScenarioSummary } from "./summary.ts";

const GUTTER = 40;
const PANEL_WIDTH = (PAGE_WIDTH - 2 * MARGIN - GUTTER) / 2;
const HEADER_HEIGHT = 92;
const LINE_STEP = 19;
const GROUP_GAP = 12;
const TITLE_HEIGHT = 34;
const BAR_HEIGHT = 13;
const LABEL_WIDTH = 104;
const VALUE_WIDTH = 118;
const VALUE_SIZE = 12;
const PLOT_WIDTH = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH;
const STALL_GOAL_MS = 50;
/** Shorter is as good as nothing; longer than 100 s nothing was. */
const [SHORTEST_MS, LONGEST_MS] = [1, 100_000];

const TICKS = [
  [1, "1 ms"],
  [10, "10 ms"],
  [100, "100 ms"],
  [1_000, "1 s"],
  [10_000, "10 s"],
] as const;
const TICKS_HEIGHT = 20;

/** Where a line of a panel has its plot, from `x` on, around `y`. */
type Draw = (summary: ScenarioSummary, x: number, y: number) => readonly string[];

interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly draw: Draw;
  /** Marks behind a panel's lines, from `top` to `bottom`. */
  readonly ground: (x: number, top: number, bottom: number) => readonly string[];
  readonly describe: (summary: ScenarioSummary) => string;
}

const share = ({ survivors, connections }: ScenarioSummary): number => survivors / Math.max(connections, 1);
const countText = ({ survivors, connections }: ScenarioSummary): string =>
  `${survivors.toLocaleString("en-US")} of ${connections.toLocaleString("en-US")}`;

const SURVIVORS: Chart = {
  title: "Connections that go on",
  subtitle: "of all runs together; the line is all of them",
  describe: countText,
  ground: (x, top, bottom) => [vertical(x + PLOT_WIDTH, top, bottom, "goal")],
  draw: (summary, x, y) => {
    const isAll = summary.survivors === summary.connections;
    return [
      rectangle(x, y - BAR_HEIGHT / 2, share(summary) * PLOT_WIDTH, BAR_HEIGHT, summary.subject.id),
      text(x + PLOT_WIDTH + 8, y, countText(summary), { size: VALUE_SIZE, look: isAll ? "met" : "missed" }),
    ];
  },
};

const toX = (x: number, ms: number): number => {
  const bounded = Math.min(Math.max(ms, SHORTEST_MS), LONGEST_MS);
  return x + (Math.log(bounded / SHORTEST_MS) / Math.log(LONGEST_MS / SHORTEST_MS)) * PLOT_WIDTH;
};

function stallText({ pushLate, others, runs }: ScenarioSummary): string {
  if (pushLate === undefined) return "never again";
  const median = `${formatNumber(Math.round(pushLate.median))} ms`;
  return isWhole(others.push) ? median : `${median}, ${others.push.survivors} of ${runs}`;
}

const STALL: Chart = {
  title: "Stall of pushed datagrams",
  subtitle: `median, and from shortest to longest, of the runs in which they came again; after a death since MASTER; the line is ${STALL_GOAL_MS} ms`,
  describe: stallText,
  ground: (x, top, bottom) => [
    ...TICKS.flatMap(([ms, label]) => [
      vertical(toX(x, ms), top, bottom, "grid"),
      text(toX(x, ms), bottom + 9, label, { size: 11, look: "muted", anchor: "middle" }),
    ]),
    vertical(toX(x, STALL_GOAL_MS), top, bottom, "goal"),
  ],
  draw: (summary, x, y) => {
    const { pushLate, others } = summary;
    const isGood = pushLate !== undefined && pushLate.max <= STALL_GOAL_MS && isWhole(others.push);
    const value = text(x + PLOT_WIDTH + 8, y, stallText(summary), {
      size: VALUE_SIZE,
      look: isGood ? "met" : isWhole(others.push) ? "ink" : "missed",
    });
    if (pushLate === undefined) return [value];
    const ends = [toX(x, pushLate.min), toX(x, pushLate.max)] as const;
    return [whisker(...ends, y), disc(toX(x, pushLate.median), y, summary.subject.id), value];
  },
};

export const survivorsChart = (summaries: readonly ScenarioSummary[]): string => chart(SURVIVORS, summaries);
export const stallChart = (summaries: readonly ScenarioSummary[]): string => chart(STALL, summaries);

/** Of one INPUT chain. */
function chart(kind: Chart, summaries: readonly ScenarioSummary[]): string {
  const input = summaries[0]?.input === "answer" ? "INPUT answers what is INVALID" : "INPUT drops what is INVALID";
  const scenarios = SCENARIOS.filter((scenario) => summaries.some((one) => one.scenario === scenario));
  const panels = scenarios.map((scenario) => summaries.filter((one) => one.scenario === scenario));
  const heights = panels.map(panelHeight);
  let y = HEADER_HEIGHT;
  const body = [...header(kind, input, summaries)];
  for (let at = 0; at < panels.length; at += 2) {
    panels.slice(at, at + 2).forEach((panel, column) => {
      body.push(...drawPanel(kind, panel, MARGIN + column * (PANEL_WIDTH + GUTTER), y));
    });
    y += Math.max(...heights.slice(at, at + 2)) + TICKS_HEIGHT + 16;
  }
  const sentences = summaries.map(
    (one) => `${SCENARIO_TITLES[one.scenario]}, ${one.flows} other flows, ${one.subject.label}: ${kind.describe(one)}.`,
  );
  return renderPage({
    title: `${kind.title}, ${input}`,
    description: sentences.join(" "),
    height: y + 4,
    body,
  });
}

function header(kind: Chart, input: string, summaries: readonly ScenarioSummary[]): string[] {
  const drawn = [
    text(MARGIN, 30, `${kind.title}: ${input}`, { size: 19, look: "ink bold" }),
    text(MARGIN, 53, kind.subtitle, { size: 13, look: "muted" }),
  ];
  let x = MARGIN;
  for (const subject of SUBJECTS.filter((one) => summaries.some((summary) => summary.subject === one))) {
    drawn.push(rectangle(x, 70, 14, 12, subject.id), text(x + 20, 76, subject.label, { size: 13 }));
    x += 20 + textWidth(subject.label, 13) + 22;
  }
  return drawn;
}

const bySize = (panel: readonly ScenarioSummary[]) => [...Map.groupBy(panel, ({ flows }) => flows).values()];

function panelHeight(panel: readonly ScenarioSummary[]): number {
  return TITLE_HEIGHT + panel.length * LINE_STEP + (bySize(panel).length - 1) * GROUP_GAP;
}

function drawPanel(kind: Chart, panel: readonly ScenarioSummary[], x: number, y: number): string[] {
  const plotX = x + LABEL_WIDTH;
  const [top, bottom] = [y + TITLE_HEIGHT - 6, y + panelHeight(panel) + 2];
  const drawn = [
    text(x, y + 12, SCENARIO_TITLES[panel[0]!.scenario], { size: 14, look: "ink bold" }),
    horizontal(x, x + PANEL_WIDTH, y + 24, "grid"),
    ...kind.ground(plotX, top, bottom),
  ];
  let lineY = y + TITLE_HEIGHT + LINE_STEP / 2;
  for (const group of bySize(panel)) {
    const middle = lineY + ((group.length - 1) * LINE_STEP) / 2;
    const label = `${group[0]!.flows.toLocaleString("en-US")} flows`;
    drawn.push(text(x, middle, label, { size: 12.5, look: "muted" }));
    for (const summary of group) {
      drawn.push(...kind.draw(summary, plotX, lineY));
      lineY += LINE_STEP;
    }
    lineY += GROUP_GAP;
  }
  return drawn;
}
