/**
 * The picture of one measure: for each row a bar of each subject, with its value, its spread and the goal.
 *
 * Each row has a scale of its own, from zero: what matters is how the subjects stand to each other, and the rows of one
 * measure may be microseconds and megabytes.
 */

import { formatFactor, formatQuantity } from "../figures/quantity.ts";
import {
  horizontal,
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
import type { Goal, Subject } from "./measure.ts";
import type { MeasureResults } from "./results.ts";
import { type RowSummary, SUBJECTS } from "./verdict.ts";

const LABEL_WIDTH = 185;
const BAR_X = MARGIN + LABEL_WIDTH + 18;
const VERDICT_X = 702;
const VERDICT_WIDTH = PAGE_WIDTH - MARGIN - VERDICT_X;
const VALUE_SIZE = 12.5;
const VERDICT_SIZE = 12;
const BAR_HEIGHT = 17;
const BAR_STEP = 22;
const LINE_STEP = 17;
const ROW_GAP = 26;
const HEADER_HEIGHT = 92;

export function barChart(measure: MeasureResults, rows: readonly RowSummary[]): string {
  const body = header(measure, rows);
  let y = HEADER_HEIGHT;
  for (const [at, row] of rows.entries()) {
    const block = rowBlock(row);
    if (at > 0) body.push(horizontal(MARGIN, PAGE_WIDTH - MARGIN, y - ROW_GAP / 2, "grid"));
    body.push(...block.draw(y));
    y += block.height + ROW_GAP;
  }
  const note = "Bars: medians. Whiskers: lowest and highest reading. Each row has its own scale, from zero.";
  body.push(text(MARGIN, y + 2, note, { size: 12, look: "muted" }));
  return renderPage({
    title: `${measure.id} ${measure.title}`,
    description: describe(measure, rows),
    height: y + 24,
    body,
  });
}

function header(measure: MeasureResults, rows: readonly RowSummary[]): string[] {
  const size = textWidth(measure.title, 20, true) > PAGE_WIDTH - 2 * MARGIN - 70 ? 16 : 20;
  const title = text(MARGIN, 32, `${measure.id}  ${measure.title}`, { size, look: "ink bold" });
  let x = MARGIN;
  const legend: string[] = [];
  const entry = (mark: string, label: string): void => {
    legend.push(mark, text(x + 22, 62, label, { size: 13, look: "muted" }));
    x += 22 + textWidth(label, 13) + 24;
  };
  for (const subject of SUBJECTS.filter((one) => rows.some(({ subjects }) => subjects[one] !== undefined))) {
    entry(rectangle(x, 55, 15, 14, subject), subject === "limit" ? "limit: bare receiver or sender" : subject);
  }
  if (rows.some(({ goals }) => goals.length > 0)) entry(vertical(x + 8, 54, 70, "goal"), "goal of ctsync");
  return [title, ...legend];
}

interface Block {
  readonly height: number;
  readonly draw: (y: number) => string[];
}

function rowBlock(summary: RowSummary): Block {
  const { row, subjects, goals } = summary;
  const present = SUBJECTS.filter((subject) => subjects[subject] !== undefined);
  const labelLines = wrapText(row.label, 14, LABEL_WIDTH);
  const verdictLines = verdict(summary);
  const barsHeight = Math.max(present.length * BAR_STEP - (BAR_STEP - BAR_HEIGHT), 0);
  const labelHeight = (labelLines.length + 1) * LINE_STEP;
  const verdictHeight = verdictLines.length * LINE_STEP;
  const height = Math.max(barsHeight, labelHeight, verdictHeight);
  const marks = goals.flatMap(({ goal }) => goalValue(goal, summary) ?? []);
  const scaleMax = Math.max(...present.map((subject) => subjects[subject]!.max), ...marks, 0);
  const valueWidth = Math.max(
    ...present.map((subject) => textWidth(formatQuantity(subjects[subject]!.median, row.unit), VALUE_SIZE, true)),
    0,
  );
  const barWidth = VERDICT_X - 22 - valueWidth - 8 - BAR_X;
  const toX = (value: number): number => BAR_X + (scaleMax > 0 ? Math.max(value, 0) / scaleMax : 0) * barWidth;
  const draw = (y: number): string[] => {
    const middle = y + height / 2;
    const column = (lines: readonly (readonly [string, string])[], x: number, size: number) =>
      lines.map(([content, look], at) =>
        text(x, middle + (at - (lines.length - 1) / 2) * LINE_STEP, content, { size, look }),
      );
    const label = labelLines.map((content) => [content, "ink"] as const);
    const direction = [`${row.better} is better`, "muted"] as const;
    const top = middle - barsHeight / 2;
    return [
      ...column([...label, direction], MARGIN, 13.5),
      ...present.flatMap((subject, at) => bar(summary, subject, top + at * BAR_STEP, toX, marks)),
      ...column(verdictLines, VERDICT_X, VERDICT_SIZE),
    ];
  };
  return { height, draw };
}

/** The value stands behind bar and whisker, where no goal runs through it. */
function bar(summary: RowSummary, subject: Subject, y: number, toX: (value: number) => number, marks: number[]) {
  const { median, max, min } = summary.subjects[subject]!;
  const middle = y + BAR_HEIGHT / 2;
  const isOurs = subject === "ctsync";
  const goals = isOurs ? marks.map(toX) : [];
  const value = formatQuantity(median, summary.row.unit);
  const valueX = roomAfter(toX(max), textWidth(value, VALUE_SIZE, isOurs), goals, 8);
  return [
    rectangle(BAR_X, y, Math.max(toX(median) - BAR_X, 1.5), BAR_HEIGHT, subject),
    whisker(toX(min), toX(max), middle),
    ...goals.map((x) => vertical(x, y - 3, y + BAR_HEIGHT + 3, "goal")),
    text(valueX, middle, value, { size: VALUE_SIZE, look: isOurs ? "ink bold" : "ink" }),
  ];
}

/** What a goal asks of the median, in the row's unit. */
function goalValue(goal: Goal, { subjects }: RowSummary): number | undefined {
  if ("absolute" in goal) return goal.absolute;
  const theirs = subjects[goal.of];
  return theirs === undefined ? undefined : goal.factor * theirs.median;
}

/** Lines of text with their class: how ctsync stands to the others, then each goal. */
function verdict({ ratios, goals }: RowSummary): (readonly [string, string])[] {
  const ratioLines = (["conntrackd", "limit"] as const).flatMap((other) => {
    const ratio = ratios[other];
    return ratio === undefined ? [] : [[`${formatFactor(ratio.median)} ${other}`, "ink bold"] as const];
  });
  const goalLines = goals.flatMap(({ text: goal, verdict: found }) =>
    wrapText(`goal ${goal}: ${found}`, VERDICT_SIZE, VERDICT_WIDTH).map(
      (content) => [content, found === "met" ? "met" : "missed"] as const,
    ),
  );
  return [...ratioLines, ...goalLines];
}

function describe(measure: MeasureResults, rows: readonly RowSummary[]): string {
  const sentences = rows.map(({ row, subjects, goals }) => {
    const values = SUBJECTS.flatMap((subject) => {
      const summary = subjects[subject];
      return summary === undefined ? [] : [`${subject} ${formatQuantity(summary.median, row.unit)}`];
    });
    const judged = goals.map(({ text: goal, verdict: found }) => `goal ${goal} ${found}`);
    return `${row.label}: ${[...values, ...judged].join(", ")}.`;
  });
  return [measure.method, ...sentences].join(" ");
}
