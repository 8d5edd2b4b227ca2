import { expect, test } from "bun:test";
import { inventMeasure, inventResults, inventRun } from "./invented-results.ts";
import { renderMarkdown } from "./markdown.ts";
import { publication } from "./publish.ts";
import { parseResults } from "./results.ts";

const markdown = renderMarkdown(inventRun());
const lines = markdown.split("\n");

test("each row of each measure has a line with values, spread, ratios, goals and verdicts", () => {
  expect(lines).toContain(
    "| M4 | receiver at 5,000/s | 30.6 µs (29.7 to 31.8) | 13.1 µs (12.7 to 13.6) | 8 µs (7.76 to 8.32) " +
      "| 0.428 × | 1.64 × | ≤ 0.4 × conntrackd, ≤ 2 × limit | **missed**, met |",
  );
  expect(lines).toContain("| M12 | growth | – | – | – | – | – | ≤ 0 bytes | **not measured** |");
});

test("all lines of the table have as many cells", () => {
  const start = lines.findIndex((line) => line.startsWith("| measure |"));
  const table = lines.slice(start, lines.indexOf("", start));
  expect(table.length).toBe(2 + inventRun().measures.flatMap(({ rows }) => rows).length);
  expect(new Set(table.map((line) => line.split(" | ").length))).toEqual(new Set([9]));
});

test("a label cannot break the table or become markup", () => {
  const row = { id: "x", label: "a | <b>\nc", readings: { ctsync: [1] } };
  expect(renderMarkdown(inventResults([inventMeasure("M1", "", [row])]))).toContain("| M1 | a \\| &lt;b>\u0020c |");
});

test("machine, versions, sum and every picture are there", () => {
  expect(markdown).toContain("# ctsync 0.1.0 beside conntrackd 1.4.7");
  expect(markdown).toContain("2 cores, 8 GB of memory; load average before: 0.04");
  expect(markdown).toContain("**11 of 17 goals met, 5 missed, 1 not measured**");
  const linked = [...markdown.matchAll(/\]\(([^)]+\.svg)\)/g)].map(([, name]) => name!);
  expect(linked.sort()).toEqual([...publication(inventRun()).keys()].filter((name) => name.endsWith(".svg")).sort());
});

test("what ten million flows would need is told, also if the cost goes on growing", () => {
  expect(lines).toContain("| commit | 193 s (202 s) | 49 s |");
  expect(lines).toContain("| CPU of the sender | 1.23 cores (1.29 cores) | 0.595 cores |");
});

test("a reading that failed is named with its reason", () => {
  expect(lines).toContain("- M5, ctsync, repeat 2: the peer never came");
});

test("what was noted at a reading is told with its measure", () => {
  const at = lines.findIndex((line) => line.startsWith("### M12"));
  expect(lines.slice(at)).toContain("- ctsync, repeat 1: the longest turn was &lt;GC> \\| wait");
});

test("results.json brings back the same table and pictures", () => {
  const files = publication(inventRun());
  const results = parseResults(files.get("results.json")!);
  expect(results.ok && publication(results.value)).toEqual(files);
});

test.each([
  ["", "not JSON"],
  ["{}", "results"],
  ['{"results": {"form": "slow"}}', "results.form"],
])("results.json that reads %j is refused", (text, complaint) => {
  const results = parseResults(text);
  expect(results.ok ? "accepted" : results.error).toContain(complaint);
});
