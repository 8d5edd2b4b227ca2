/** The picture of how cost grows with the table: a panel for each kind of cost, the size of the table on a logarithmic scale. */

import { formatNumber, formatQuantity } from "../figures/quantity.ts";
import {
  disc,
  horizontal,
  MARGIN,
  PAGE_WIDTH,
  polyline,
  renderPage,
  text,
  textWidth,
  vertical,
} from "../figures/svg.ts";
import type { Subject } from "./measure.ts";
import type { MeasureResults } from "./results.ts";
import { needsOnPaper, PAPER_TITLE, type ScaleSeries } from "./scaling.ts";
import { SUBJECTS } from "./verdict.ts";

const COLUMN_COUNT = 2;
const GUTTER = 36;
const PANEL_WIDTH = (PAGE_WIDTH - 2 * MARGIN - GUTTER) / COLUMN_COUNT;
const PANEL_HEIGHT = 232;
const PLOT_HEIGHT = 140;
const PLOT_TOP = 44;
const PLOT_PADDING = 52;
const HEADER_HEIGHT = 84;
const VALUE_SIZE = 12;
const VALUE_DISTANCE = 13; // from a point to the middle of its value
const PAPER_STEP = 26;
const PAPER_COLUMN_WIDTH = 104;
const HEADROOM = 1.15; // of the highest reading, so that its value fits above it

export function scalingChart(measure: MeasureResults, series: readonly ScaleSeries[]): string {
  const drawings = [
    ...series.map((one) => (x: number, y: number) => panel(one, x, y)),
    (x: number, y: number) => paperPanel(series, x, y),
  ];
  const panels = drawings.map((draw, at) => {
    const x = MARGIN + (at % COLUMN_COUNT) * (PANEL_WIDTH + GUTTER);
    return draw(x, HEADER_HEIGHT + Math.floor(at / COLUMN_COUNT) * PANEL_HEIGHT);
  });
  const height = HEADER_HEIGHT + Math.ceil(drawings.length / COLUMN_COUNT) * PANEL_HEIGHT + 8;
  return renderPage({
    title: `${measure.id} ${measure.title}`,
    description: [measure.method, ...series.map(sentence)].join(" "),
    height,
    body: [...header(measure, series), ...panels.flat()],
  });
}

const measuredIn = (series: readonly ScaleSeries[]): Subject[] =>
  SUBJECTS.filter((subject) => series.some(({ points }) => points.some(({ subjects }) => subjects[subject])));

function header(measure: MeasureResults, series: readonly ScaleSeries[]): string[] {
  const drawn = [text(MARGIN, 32, `${measure.id}  ${measure.title}`, { size: 20, look: "ink bold" })];
  let x = MARGIN;
  for (const subject of measuredIn(series)) {
    drawn.push(horizontal(x, x + 24, 60, `line-${subject}`), disc(x + 12, 60, subject));
    drawn.push(text(x + 32, 60, subject, { size: 13, look: "muted" }));
    x += 32 + textWidth(subject, 13) + 24;
  }
  drawn.push(
    text(x, 60, "Less is better; where a line is level, cost grows in step with the table.", {
      size: 13,
      look: "muted",
    }),
  );
  return drawn;
}

/** Where a panel puts a table of so many flows, and a cost. */
interface Plot {
  readonly toX: (flowCount: number) => number;
  readonly toY: (cost: number) => number;
  readonly bottom: number;
}

/** Costs from zero; one below it, which only noise can bring, lies on the axis. */
function plotOf({ points }: ScaleSeries, x: number, y: number): Plot {
  const [fewest, most] = [points[0]!.flowCount, points.at(-1)!.flowCount];
  const highest = Math.max(...points.flatMap(({ subjects }) => Object.values(subjects).map(({ max }) => max)), 0);
  const bottom = y + PLOT_TOP + PLOT_HEIGHT;
  const width = PANEL_WIDTH - 2 * PLOT_PADDING;
  const share = (count: number): number => (most > fewest ? Math.log(count / fewest) / Math.log(most / fewest) : 0.5);
  return {
    toX: (flowCount) => x + PLOT_PADDING + share(flowCount) * width,
    toY: (cost) => bottom - (highest > 0 ? Math.max(cost, 0) / (highest * HEADROOM) : 0) * PLOT_HEIGHT,
    bottom,
  };
}

function panel(series: ScaleSeries, x: number, y: number): string[] {
  const plot = plotOf(series, x, y);
  const { toX, toY, bottom } = plot;
  const values = series.points.flatMap(({ flowCount, subjects }) => {
    const ofPoint = SUBJECTS.flatMap((subject) => {
      const median = subjects[subject]?.median;
      return median === undefined ? [] : [{ subject, y: toY(median), words: formatQuantity(median, series.unit) }];
    });
    return valueLabels(ofPoint, toX(flowCount), bottom);
  });
  return [
    text(x, y + 14, series.title, { size: 14, look: "ink bold" }),
    horizontal(x, x + PANEL_WIDTH, bottom, "axis"),
    ...series.points.flatMap(({ flowCount }) => [
      vertical(toX(flowCount), bottom, bottom + 5, "axis"),
      text(toX(flowCount), bottom + 17, `${formatNumber(flowCount)} flows`, {
        size: 12,
        look: "muted",
        anchor: "middle",
      }),
    ]),
    ...SUBJECTS.flatMap((subject) => subjectLine(series, subject, plot)),
    ...values,
  ];
}

function subjectLine({ points }: ScaleSeries, subject: Subject, { toX, toY }: Plot): string[] {
  const measured = points.flatMap(({ flowCount, subjects }) => {
    const summary = subjects[subject];
    return summary === undefined ? [] : [{ x: toX(flowCount), summary }];
  });
  if (measured.length === 0) return [];
  const path = measured.map(({ x, summary }) => [x, toY(summary.median)] as const);
  return [
    polyline(path, `line-${subject}`),
    ...measured.flatMap(({ x, summary: { median, min, max } }) => [
      toY(min) - toY(max) >= 1 ? vertical(x, toY(max), toY(min), "whisker") : "",
      disc(x, toY(median), subject),
    ]),
  ];
}

interface Value {
  readonly subject: Subject;
  readonly y: number;
  readonly words: string;
}

/** The highest value stands above its point, the lowest below, others and those without room there beside theirs. */
function valueLabels(values: readonly Value[], x: number, bottom: number): string[] {
  const sorted = values.toSorted((a, b) => a.y - b.y);
  return sorted.map(({ subject, words, y }, at) => {
    const style = { size: VALUE_SIZE, look: subject === "ctsync" ? "ink bold" : "ink", isHaloed: true };
    const above = sorted[at - 1]?.y ?? -Infinity;
    const below = Math.min(sorted[at + 1]?.y ?? Infinity, bottom);
    if (at === 0 || y - above > 3 * VALUE_DISTANCE)
      return text(x, y - VALUE_DISTANCE, words, { ...style, anchor: "middle" });
    if (below - y > 1.6 * VALUE_DISTANCE) return text(x, y + VALUE_DISTANCE, words, { ...style, anchor: "middle" });
    return text(x + VALUE_DISTANCE, y, words, style);
  });
}

/** What nobody here can measure, beside the panels it is worked out from. */
function paperPanel(series: readonly ScaleSeries[], x: number, y: number): string[] {
  const needs = [...Map.groupBy(needsOnPaper(series), ({ need }) => need)];
  const subjects = measuredIn(series);
  const columnX = (at: number): number => x + PANEL_WIDTH - (subjects.length - 1 - at) * PAPER_COLUMN_WIDTH;
  const style = { size: 13, anchor: "end" } as const;
  return [
    text(x, y + 14, PAPER_TITLE, { size: 14, look: "ink bold" }),
    ...subjects.map((subject, at) => text(columnX(at), y + 46, subject, { ...style, look: "muted" })),
    ...needs.flatMap(([need, of], line) => {
      const lineY = y + 72 + line * PAPER_STEP;
      return [
        horizontal(x, x + PANEL_WIDTH, lineY - PAPER_STEP / 2, "grid"),
        text(x, lineY, need, { size: 13 }),
        ...of.map(({ subject, linear }) => {
          const look = subject === "ctsync" ? "ink bold" : "ink";
          return text(columnX(subjects.indexOf(subject)), lineY, linear, { ...style, look });
        }),
      ];
    }),
  ];
}

function sentence({ title, unit, points }: ScaleSeries): string {
  const values = points.flatMap(({ flowCount, subjects }) =>
    SUBJECTS.flatMap((subject) => {
      const summary = subjects[subject];
      return summary === undefined
        ? []
        : [`${subject} ${formatQuantity(summary.median, unit)} at ${formatNumber(flowCount)} flows`];
    }),
  );
  return `${title}: ${values.join(", ")}.`;
}
