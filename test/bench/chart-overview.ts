/**
 * The picture of the whole run: how many times better than conntrackd ctsync is in each row, on one logarithmic scale.
 * Rows without a reading of conntrackd stand there with their value.
 */
import { formatFactor, formatQuantity } from "../figures/quantity.ts";
import {
  diamond,
  MARGIN,
  PAGE_WIDTH,
  rectangle,
  renderPage,
  roomAfter,
  text,
  textWidth,
  vertical,
  whisker,
  wrapText,
} from "../figures/svg.ts";
import type { MeasureResults, Results } from "./results.ts";
import { isScaling } from "./scaling.ts";
import { type Standing, scaleTicks, standingOf } from "./standing.ts";
import { type RowSummary, summarizeMeasure, tally, tallyText } from "./verdict.ts";

const LABEL_X = MARGIN + 12;
const PLOT_X = 330;
const PLOT_END_X = 836;
const VERDICT_X = PAGE_WIDTH - MARGIN;
const HEADER_HEIGHT = 134;
const HEADING_STEP = 26;
const LINE_STEP = 16;
const ROW_PADDING = 5;
const BAR_HEIGHT = 12;
const LABEL_SIZE = 12.5;
const VALUE_WIDTH = textWidth("10,000 ×", LABEL_SIZE, true);

interface Entry {
  readonly summary: RowSummary;
  readonly standing: Standing | undefined;
}

/** From times better to pixels. */
type Position = (times: number) => number;

export function overviewChart(results: Results): string {
  const groups = results.measures
    .filter((measure) => !isScaling(measure))
    .map((measure) => ({
      measure,
      entries: summarizeMeasure(measure).map((summary) => ({ summary, standing: standingOf(summary) })),
    }));
  const entries = groups.flatMap((group) => group.entries);
  const ticks = scaleTicks(entries.flatMap((entry) => entry.standing ?? []));
  const position = logarithmic(ticks);
  const drawn: string[] = [];
  let y = HEADER_HEIGHT;
  for (const group of groups) {
    drawn.push(heading(group.measure, y + HEADING_STEP / 2));
    y += HEADING_STEP;
    for (const entry of group.entries) {
      const labelLines = wrapText(entry.summary.row.label, LABEL_SIZE, PLOT_X - LABEL_X - 14);
      const height = labelLines.length * LINE_STEP + ROW_PADDING;
      const middle = y + height / 2;
      drawn.push(...label(labelLines, middle), ...plot(entry, middle, position), verdict(entry, middle));
      y += height;
    }
    y += 6;
  }
  const title = `ctsync ${results.versions.ctsync} beside conntrackd ${results.versions.conntrackd}`;
  const goals = tallyText(tally(entries.map(({ summary }) => summary)));
  return renderPage({
    title: `${title}: how many times better`,
    description: [`${goals}.`, ...entries.map(sentence)].join(" "),
    height: y + 14,
    body: [...header(title, goals, entries), ...grid(ticks, position, y), ...drawn],
  });
}

function logarithmic(ticks: readonly number[]): Position {
  const [from, to] = [ticks[0]!, ticks.at(-1)!];
  const width = PLOT_END_X - VALUE_WIDTH - PLOT_X;
  const share = (times: number): number => Math.log(times / from) / Math.log(to / from);
  return (times) => PLOT_X + Math.min(Math.max(share(times), 0), 1) * width;
}

function header(title: string, goals: string, entries: readonly Entry[]): string[] {
  const legend: string[] = [];
  let x = MARGIN;
  const entry = (mark: string, words: string): void => {
    legend.push(mark, text(x + 22, 84, words, { size: 12.5, look: "muted" }));
    x += 22 + textWidth(words, 12.5) + 20;
  };
  entry(rectangle(x, 78, 15, BAR_HEIGHT, "ctsync"), "better than conntrackd");
  if (entries.some(({ standing }) => standing !== undefined && standing.median < 1)) {
    entry(rectangle(x, 78, 15, BAR_HEIGHT, "conntrackd"), "worse");
  }
  entry(vertical(x + 8, 76, 92, "goal"), "goal");
  if (entries.some(({ standing }) => standing?.limit !== undefined)) {
    entry(diamond(x + 8, 84, "limit"), "limit: bare receiver or sender");
  }
  return [
    text(MARGIN, 32, title, { size: 20, look: "ink bold" }),
    text(MARGIN, 57, `How many times better, side by side in one run. ${goals}.`, { size: 13.5, look: "muted" }),
    ...legend,
  ];
}

function grid(ticks: readonly number[], position: Position, toY: number): string[] {
  return ticks.flatMap((tick) => [
    vertical(position(tick), HEADER_HEIGHT - 8, toY, tick === 1 ? "axis" : "grid"),
    text(position(tick), HEADER_HEIGHT - 18, `${tick} ×`, {
      size: 11.5,
      look: tick === 1 ? "ink bold" : "muted",
      anchor: "middle",
    }),
  ]);
}

function heading(measure: MeasureResults, y: number): string {
  const words = `${measure.id}  ${measure.title}`;
  return text(MARGIN, y, words, { size: 13, look: "ink bold", isHaloed: true });
}

function label(lines: readonly string[], middle: number): string[] {
  return lines.map((words, at) =>
    text(LABEL_X, middle + (at - (lines.length - 1) / 2) * LINE_STEP, words, { size: LABEL_SIZE }),
  );
}

/** The value stands behind bar and whisker, where no mark runs through it. */
function plot({ summary, standing }: Entry, y: number, position: Position): string[] {
  const style = { size: LABEL_SIZE, look: "ink bold", isHaloed: true };
  if (standing === undefined) return [text(PLOT_X, y, valueText(summary), style)];
  const { median, min, max, goals, limit } = standing;
  const [oneX, medianX] = [position(1), position(median)];
  const goalXs = goals.map(position);
  const limitXs = limit === undefined ? [] : [position(limit)];
  const value = formatFactor(median);
  const endX = Math.max(oneX, medianX, position(max));
  const valueX = roomAfter(endX, textWidth(value, LABEL_SIZE, true), [...goalXs, ...limitXs], 10);
  const look = median >= 1 ? "ctsync" : "conntrackd";
  return [
    rectangle(Math.min(oneX, medianX), y - BAR_HEIGHT / 2, Math.abs(medianX - oneX), BAR_HEIGHT, look),
    whisker(position(min), position(max), y),
    ...goalXs.map((x) => vertical(x, y - 9, y + 9, "goal")),
    ...limitXs.map((x) => diamond(x, y, "limit")),
    text(valueX, y, value, style),
  ];
}

function valueText({ row, subjects }: RowSummary): string {
  const [theirs, ours] = [subjects.conntrackd, subjects.ctsync];
  if (ours === undefined) return "not measured";
  const beside = theirs === undefined ? "" : `, conntrackd ${formatQuantity(theirs.median, row.unit)}`;
  return formatQuantity(ours.median, row.unit) + beside;
}

function verdict({ summary: { goals } }: Entry, y: number): string {
  if (goals.length === 0) return "";
  const found = tally([{ goals }]);
  const isMet = found.metCount === goals.length;
  const isAlike = goals.every(({ verdict: one }) => one === goals[0]!.verdict);
  const words = isAlike ? goals[0]!.verdict : `${found.metCount} of ${goals.length} met`;
  return text(VERDICT_X, y, words, { size: LABEL_SIZE, look: isMet ? "met" : "missed", anchor: "end" });
}

function sentence({ summary, standing }: Entry): string {
  const goals = summary.goals.map(({ text: goal, verdict: found }) => `, goal ${goal} ${found}`).join("");
  const value = standing === undefined ? valueText(summary) : `${formatFactor(standing.median)} better`;
  return `${summary.row.label}: ${value}${goals}.`;
}
