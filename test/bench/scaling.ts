/**
 * How cost grows with the table, and what a table larger than any measured would need, worked out on paper.
 *
 * Measures whose id begins with S have rows named KIND-FLOWS, as "commit-100000", each a cost per flow or event.
 */

import { formatNumber, formatQuantity } from "../figures/quantity.ts";
import type { Summary } from "../figures/statistics.ts";
import type { Subject } from "./measure.ts";
import type { MeasureResults } from "./results.ts";
import { type RowSummary, SUBJECTS } from "./verdict.ts";

const PAPER_FLOWS = 10_000_000;
const PAPER_EVENTS_PER_SECOND = 200_000;

interface Kind {
  readonly title: string;
  /** What is needed of it on paper, and how much, from the cost of one flow or event. */
  readonly need: string;
  readonly text: (cost: number) => string;
}

const cores = (costUs: number): string => `${formatNumber((costUs * PAPER_EVENTS_PER_SECOND) / 1e6)} cores`;
const memory = (costBytes: number): string => formatQuantity(costBytes * PAPER_FLOWS, "bytes");
export const PAPER_TITLE = `On paper: ${formatNumber(PAPER_FLOWS)} flows, ${formatNumber(PAPER_EVENTS_PER_SECOND)} events/s`;

const KINDS: Readonly<Record<string, Kind>> = {
  "cpu-sender": { title: "CPU of the sender, per event", need: "CPU of the sender", text: cores },
  "cpu-receiver": { title: "CPU of the receiver, per event", need: "CPU of the receiver", text: cores },
  "memory-internal": { title: "Internal cache, per flow", need: "internal cache", text: memory },
  "memory-external": { title: "External cache, per flow", need: "external cache", text: memory },
  commit: {
    title: "Commit, per flow",
    need: "commit",
    text: (costUs) => formatQuantity((costUs * PAPER_FLOWS) / 1e6, "s"),
  },
};

export interface ScalePoint {
  readonly flowCount: number;
  readonly subjects: RowSummary["subjects"];
}

/** One kind of cost at each size of the table, smallest first. */
export interface ScaleSeries {
  readonly kind: string;
  readonly title: string;
  readonly unit: string;
  readonly points: readonly ScalePoint[];
}

export const isScaling = ({ id }: Pick<MeasureResults, "id">): boolean => id.startsWith("S");

export function scaleSeries(rows: readonly RowSummary[]): ScaleSeries[] {
  const found = rows.flatMap(({ row, subjects }) => {
    const [, kind, flows] = /^(.+)-(\d+)$/.exec(row.id) ?? [];
    return kind === undefined ? [] : [{ kind, unit: row.unit, point: { flowCount: Number(flows), subjects } }];
  });
  return [...Map.groupBy(found, ({ kind }) => kind)].map(([kind, members]) => ({
    kind,
    title: KINDS[kind]?.title ?? kind,
    unit: members[0]!.unit,
    points: members.map(({ point }) => point).sort((a, b) => a.flowCount - b.flowCount),
  }));
}

/** What one subject would need of one kind. */
export interface Need {
  readonly need: string;
  readonly subject: Subject;
  /** If a flow costs as much there as it did in the largest table measured. */
  readonly linear: string;
  /** If it goes on growing as it did over the last step; undefined when it did not grow. */
  readonly growing: string | undefined;
}

export function needsOnPaper(series: readonly ScaleSeries[]): Need[] {
  return series.flatMap(({ kind, points }) => {
    const known = KINDS[kind];
    if (known === undefined) return [];
    return SUBJECTS.flatMap((subject) => {
      const measured = points.flatMap(({ flowCount, subjects }) => {
        const summary: Summary | undefined = subjects[subject];
        return summary === undefined ? [] : [{ flowCount, cost: summary.median }];
      });
      const largest = measured.at(-1);
      if (largest === undefined) return [];
      const growth = growthTo(PAPER_FLOWS, largest, measured.at(-2));
      const growing = growth > 1 ? known.text(largest.cost * growth) : undefined;
      return [{ need: known.need, subject, linear: known.text(largest.cost), growing }];
    });
  });
}

interface Cost {
  readonly flowCount: number;
  readonly cost: number;
}

/** The factor by which a cost changes up to `flowCount` if each tenfold does to it what the last one did. */
function growthTo(flowCount: number, largest: Cost, before: Cost | undefined): number {
  if (before === undefined || before.cost <= 0) return 1;
  const perNaturalStep = Math.log(largest.cost / before.cost) / Math.log(largest.flowCount / before.flowCount);
  return (flowCount / largest.flowCount) ** perNaturalStep;
}
