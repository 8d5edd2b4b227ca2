/** Writes what a run found: results.json, results.md, a picture of each measure and one of all. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { barChart } from "./chart-bars.ts";
import { overviewChart } from "./chart-overview.ts";
import { scalingChart } from "./chart-scaling.ts";
import { renderMarkdown } from "./markdown.ts";
import type { Results } from "./results.ts";
import { isScaling, scaleSeries } from "./scaling.ts";
import { summarizeMeasure } from "./verdict.ts";

export function publish(results: Results, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of publication(results)) writeFileSync(join(folder, name), text);
}

/** Every file by its name. The summary in the JSON is for its readers; it follows from the readings. */
export function publication(results: Results): Map<string, string> {
  const summaries = results.measures.map((measure) => ({ measure, rows: summarizeMeasure(measure) }));
  const summary = Object.fromEntries(summaries.map(({ measure, rows }) => [measure.id, rows]));
  const files = new Map([
    ["results.json", `${JSON.stringify({ results, summary }, undefined, 2)}\n`],
    ["results.md", renderMarkdown(results)],
    ["overview.svg", overviewChart(results)],
  ]);
  for (const { measure, rows } of summaries) {
    const chart = isScaling(measure) ? scalingChart(measure, scaleSeries(rows)) : barChart(measure, rows);
    files.set(`${measure.id}.svg`, chart);
  }
  return files;
}
