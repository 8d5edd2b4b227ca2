/** The pictures: well-formed, complete, and legible, whatever the results are. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { misplacedLabels, parseSvg } from "../figures/parsed-svg.ts";
import { barChart } from "./chart-bars.ts";
import { overviewChart } from "./chart-overview.ts";
import { inventMeasure, inventResults, inventRun } from "./invented-results.ts";
import { publication } from "./publish.ts";
import { summarizeMeasure } from "./verdict.ts";

const files = publication(inventRun());
const pictures = [...files].filter(([name]) => name.endsWith(".svg"));
const textsOf = (svg: string): string[] => parseSvg(svg).flatMap(({ name, text }) => (name === "text" ? [text] : []));
const bars = (svg: string, subject: string) =>
  parseSvg(svg).filter(({ name, attributes }) => name === "rect" && attributes.class === subject);

test("there is a picture of each measure and one of all", () => {
  expect(pictures.map(([name]) => name).sort()).toEqual(
    ["M12", "M3", "M4", "M5", "M6", "M7", "S", "overview"].map((name) => `${name}.svg`),
  );
});

describe.each(pictures)("%s", (_, svg) => {
  test("is well-formed, with a title, a description and colours for dark screens", () => {
    const elements = parseSvg(svg);
    const root = elements[0]!;
    expect(root.name).toBe("svg");
    const labelled = root.attributes["aria-labelledby"]!.split(" ");
    const told = labelled.map((id) => elements.find(({ attributes }) => attributes.id === id)?.text ?? "");
    expect(told.filter((text) => text.length > 3)).toHaveLength(2);
    expect(svg).toContain("@media (prefers-color-scheme: dark)");
    expect(svg).not.toMatch(/NaN|Infinity|undefined|(href|src|@import|url\((?!#))/);
  });

  test("has no label that meets another or leaves the page", () => {
    expect(misplacedLabels(parseSvg(svg))).toEqual([]);
  });

  test("uses only looks that its style sheet knows", () => {
    const elements = parseSvg(svg);
    const sheet = elements.find(({ name }) => name === "style")!.text;
    const used = new Set(elements.flatMap(({ attributes }) => attributes.class?.split(" ") ?? []));
    expect([...used].filter((look) => !sheet.includes(`.${look} {`))).toEqual([]);
  });
});

describe("the picture of a measure", () => {
  const svg = files.get("M4.svg")!;

  test("has a bar and a value for each subject of each row, and says what became of the goals", () => {
    for (const subject of ["conntrackd", "ctsync", "limit"]) {
      expect(bars(svg, subject).length).toBe(4 + 1); // and one in the legend
    }
    const goal = "goal ≤ 0.4 × conntrackd: met";
    expect(textsOf(svg)).toEqual(expect.arrayContaining(["sender at 5,000/s", "61.5 µs", "22 µs", "12 µs", goal]));
    expect(textsOf(svg)).toContain("goal ≤ 0.4 × conntrackd: missed");
  });

  test("draws the bars of a row in proportion", () => {
    const [, conntrackd] = bars(svg, "conntrackd").map(({ attributes }) => Number(attributes.width));
    const [, ctsync] = bars(svg, "ctsync").map(({ attributes }) => Number(attributes.width));
    expect(ctsync! / conntrackd!).toBeCloseTo(22 / 61.5, 2);
  });

  test("says where nothing was measured", () => {
    expect(textsOf(files.get("M12.svg")!)).toContain("goal ≤ 0 bytes: not measured");
  });
});

test("the picture of all has every row, as times better, and what is met", () => {
  const texts = textsOf(files.get("overview.svg")!);
  expect(texts).toEqual(expect.arrayContaining(["sender at 5,000/s", "2.8 ×", "4.68 ×", "4.21 ms", "1 of 2 met"]));
});

test("the picture of growth has each value, and what is worked out from the largest table", () => {
  const texts = textsOf(files.get("S.svg")!);
  const shown = ["CPU of the sender, per event", "1,000,000 flows", "528 bytes", "5.81 GB", "1.97 GB"];
  expect(texts).toEqual(expect.arrayContaining(shown));
});

test("a run in which every reading failed still has its pictures", () => {
  const failing = (id: string, row: string) =>
    inventMeasure(id, "All failed", [{ id: row, goals: [{ absolute: 1 }], readings: { ctsync: [undefined] } }]);
  const failed = publication(inventResults([failing("M1", "row"), failing("S", "commit-10000")]));
  for (const name of ["M1.svg", "S.svg", "overview.svg"]) {
    const svg = failed.get(name)!;
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(misplacedLabels(parseSvg(svg))).toEqual([]);
  }
  expect(textsOf(failed.get("overview.svg")!)).toContain("not measured");
});

test("no readings make labels meet", () => {
  const value = fc.oneof(fc.constant(0), fc.double({ min: 1, max: 1e4, noNaN: true }));
  const readings = fc.array(value, { minLength: 1, maxLength: 4 });
  const row = fc.record({ conntrackd: readings, ctsync: readings, limit: readings, bound: value });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 4 }), (rows) => {
      const measure = inventMeasure(
        "M1",
        "Chance",
        rows.map(({ bound, ...subjects }, at) => ({
          id: `row ${at}`,
          goals: [{ absolute: bound }, { factor: 2, of: "limit" }],
          readings: subjects,
        })),
      );
      expect(misplacedLabels(parseSvg(barChart(measure, summarizeMeasure(measure))))).toEqual([]);
      expect(misplacedLabels(parseSvg(overviewChart(inventResults([measure]))))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
