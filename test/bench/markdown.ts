/** results.md: the table of every row, then each measure with its method and picture. */
import { formatFactor, formatNumber, formatQuantity, formatSummary } from "../figures/quantity.ts";
import type { MeasureResults, Results } from "./results.ts";
import { isScaling, needsOnPaper, PAPER_TITLE, scaleSeries } from "./scaling.ts";
import { type RowSummary, SUBJECTS, summarizeMeasure, tally, tallyText } from "./verdict.ts";

const NOTHING = "–";

interface Judged {
  readonly measure: MeasureResults;
  readonly rows: readonly RowSummary[];
}

export function renderMarkdown(results: Results): string {
  const judged = results.measures.map((measure) => ({ measure, rows: summarizeMeasure(measure) }));
  const sections = [
    heading(results),
    verdictLine(judged),
    "![How many times better than conntrackd, each row](overview.svg)",
    resultsTable(judged),
    READING,
    "## Measures",
    ...judged.map(measureSection),
    ...judged.filter(({ measure }) => isScaling(measure)).map(({ rows }) => onPaper(rows)),
    ...failures(results),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

const READING = `Each cell is the median of the repeats, with the lowest and the highest reading behind it. A ratio is
the median of the ratios within each repeat, ctsync's reading to the other's, so that a machine that slows down for a
while slows both sides; it may differ a little from the quotient of the medians. *limit* is a bare receiver or sender of
the same flows, as its measure says.`;

function heading({ form, startedAt, machine, versions }: Results): string {
  const { processor, coreCount, memoryBytes, kernel, distribution, loadAverage } = machine;
  const sources = versions.sources === "" ? "" : ` (${versions.sources})`;
  return `# ctsync ${versions.ctsync} beside conntrackd ${versions.conntrackd}

- ctsync ${versions.ctsync}${sources} on Bun ${versions.bun}; conntrackd ${versions.conntrackd}
- ${processor}, ${coreCount} cores, ${formatQuantity(memoryBytes, "bytes")} of memory; load average before: ${formatNumber(loadAverage)}
- Linux ${kernel}, ${distribution}
- ${form} form, ${startedAt}`;
}

function verdictLine(judged: readonly Judged[]): string {
  return `**${tallyText(tally(judged.flatMap(({ rows }) => rows)))}**`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");

function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const rule = header.map(() => "---");
  return [header, rule, ...lines].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n");
}

function resultsTable(judged: readonly Judged[]): string {
  const header = ["measure", "row", ...SUBJECTS, "ratio to conntrackd", "ratio to limit", "goal", "verdict"];
  const lines = judged.flatMap(({ measure, rows }) =>
    rows.map(({ row, subjects, ratios, goals }) => [
      measure.id,
      row.label,
      ...SUBJECTS.map((subject) => {
        const summary = subjects[subject];
        return summary === undefined ? NOTHING : formatSummary(summary, row.unit);
      }),
      ...(["conntrackd", "limit"] as const).map((other) => {
        const ratio = ratios[other];
        return ratio === undefined ? NOTHING : formatFactor(ratio.median);
      }),
      goals.map(({ text }) => text).join(", ") || NOTHING,
      verdicts(goals),
    ]),
  );
  return table(header, lines);
}

/** In the order of the goals; one word where all of them are met. */
function verdicts(goals: RowSummary["goals"]): string {
  if (goals.length === 0) return NOTHING;
  if (goals.every(({ verdict }) => verdict === "met")) return "met";
  return goals.map(({ verdict }) => (verdict === "met" ? verdict : `**${verdict}**`)).join(", ");
}

function measureSection({ measure, rows }: Judged): string {
  const repeats = Math.max(0, ...measure.takes.map(({ repeat }) => repeat));
  const goals = rows.some((row) => row.goals.length > 0) ? ` ${tallyText(tally(rows))}.` : "";
  const sources = measure.sources === undefined ? "" : ` With the sources of ${measure.sources}.`;
  return `### ${measure.id} ${measure.title}

${measure.method} ${repeats === 1 ? "Measured once." : `${repeats} repeats.`}${sources}${goals}

${noteLines(measure)}![${measure.id} ${measure.title}](${measure.id}.svg)`;
}

function noteLines({ takes }: MeasureResults): string {
  const lines = takes.flatMap(({ subject, repeat, notes = [] }) =>
    notes.map((text) => `- ${subject}, repeat ${repeat}: ${cell(text)}`),
  );
  return lines.length === 0 ? "" : `${lines.join("\n")}\n\n`;
}

/** What nobody here can measure, from the costs of the largest table that was. */
function onPaper(rows: readonly RowSummary[]): string {
  const needs = needsOnPaper(scaleSeries(rows));
  if (needs.length === 0) return "";
  const subjects = SUBJECTS.filter((subject) => needs.some((need) => need.subject === subject));
  const lines = [...Map.groupBy(needs, ({ need }) => need)].map(([need, of]) => [
    need,
    ...subjects.map((subject) => {
      const found = of.find((one) => one.subject === subject);
      if (found === undefined) return NOTHING;
      return found.growing === undefined ? found.linear : `${found.linear} (${found.growing})`;
    }),
  ]);
  return `### ${PAPER_TITLE}

Worked out from the medians of the largest table measured, as if a flow or an event cost the same there. In brackets,
where the cost grew with the last step between two sizes: if it goes on growing at that pace. Both programs keep to one
thread, so a need of more than one core is one that the program as it is cannot meet.

${table(["", ...subjects], lines)}`;
}

function failures({ measures }: Results): string[] {
  const lines = measures.flatMap(({ id, takes }) =>
    takes.flatMap(({ failure, subject, repeat }) =>
      failure === undefined ? [] : [`- ${id}, ${subject}, repeat ${repeat}: ${cell(failure)}`],
    ),
  );
  return lines.length === 0 ? [] : ["## Readings that failed", lines.join("\n")];
}
