/** Writes what was found: results.json, results.md, the block for the README, and the pictures. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stallChart, survivorsChart } from "./charts.ts";
import { readmeTable, renderMarkdown } from "./markdown.ts";
import type { Results } from "./results.ts";
import { summarizeResults } from "./summary.ts";

export function publish(results: Results, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of publication(results)) writeFileSync(join(folder, name), text);
}

/** Every file by its name. */
export function publication(results: Results): Map<string, string> {
  const files = new Map([
    ["results.json", `${JSON.stringify(results, undefined, 2)}\n`],
    ["results.md", renderMarkdown(results)],
    ["readme-table.md", readmeTable(results)],
  ]);
  for (const [input, of] of Map.groupBy(summarizeResults(results), (one) => one.input)) {
    files.set(`survivors-${input}.svg`, survivorsChart(of));
    files.set(`stall-${input}.svg`, stallChart(of));
  }
  return files;
}
