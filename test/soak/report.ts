/** What a soak was like: a page of Markdown, and a picture of memory, descriptors, flows and faults over time. */

import { median } from "../figures/statistics.ts";
import { horizontal, MARGIN, PAGE_WIDTH, polyline, renderPage, text, textWidth, vertical } from "../figures/svg.ts";
import { clock, type Incident, type Outcome, type Sample } from "./soak.ts";

const LEFT = MARGIN + 60;
const RIGHT = PAGE_WIDTH - MARGIN - 120;
const PANEL_HEIGHT = 110;
const PANEL_GAP = 46;
const TOP = 96;
const ROW_HEIGHT = 18;

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly { readonly name: string; readonly look: string; readonly of: (sample: Sample) => number }[];
}

const PANELS: readonly Panel[] = [
  {
    title: "Memory",
    unit: "MB",
    lines: [
      { name: "daemon 1", look: "line-ctsync", of: ({ bytes }) => bytes[0] / 1e6 },
      { name: "daemon 2", look: "goal", of: ({ bytes }) => bytes[1] / 1e6 },
    ],
  },
  {
    title: "Open descriptors",
    unit: "",
    lines: [
      { name: "daemon 1", look: "line-ctsync", of: ({ descriptors }) => descriptors[0] },
      { name: "daemon 2", look: "goal", of: ({ descriptors }) => descriptors[1] },
    ],
  },
  { title: "Flows", unit: "", lines: [{ name: "alive", look: "line-ctsync", of: ({ flows }) => flows }] },
];

export function picture({ options, samples, incidents, calmSeconds, complaints }: Outcome): string {
  const end = Math.max(options.minutes * 60, samples.at(-1)?.seconds ?? 0);
  const x = (seconds: number): number => LEFT + ((RIGHT - LEFT) * seconds) / end;
  const panels = PANELS.flatMap((panel, i) => drawPanel(panel, samples, x, TOP + i * (PANEL_HEIGHT + PANEL_GAP)));
  const faultsTop = TOP + PANELS.length * (PANEL_HEIGHT + PANEL_GAP);
  const names = [...new Set(incidents.map(({ name }) => name))].sort();
  const rows = names.flatMap((name, row) => drawFaults(name, incidents, x, faultsTop + row * ROW_HEIGHT));
  const bottom = faultsTop + names.length * ROW_HEIGHT;
  const verdict = complaints.length === 0 ? "all equal, nothing grew" : `${complaints.length} complaints`;
  const failed = incidents.filter(({ error }) => error !== undefined).length;
  const summary = `${incidents.length} faults in ${options.minutes} minutes, ${failed} not healed: ${verdict}`;
  const times = Array.from({ length: 7 }, (_, i) => (end * i) / 6);
  return renderPage({
    title: "A soak of two daemons",
    description: summary,
    height: bottom + 52,
    body: [
      text(MARGIN, 34, "A soak of two daemons", { size: 20, look: "ink bold" }),
      text(MARGIN, 60, summary, { size: 14, look: complaints.length === 0 ? "met" : "missed" }),
      vertical(x(calmSeconds), TOP - 8, bottom, "axis"),
      text(x(calmSeconds) + 6, TOP - 14, "from here on growth is measured", { size: 11, look: "muted" }),
      ...panels,
      text(MARGIN, faultsTop - 14, "Faults, each followed by a comparison of all tables", {
        size: 13,
        look: "ink bold",
      }),
      ...rows,
      ...times.map((seconds) =>
        text(x(seconds), bottom + 20, clock(seconds), { size: 11, look: "muted", anchor: "middle" }),
      ),
    ],
  });
}

function drawPanel(
  { title, unit, lines }: Panel,
  samples: readonly Sample[],
  x: (s: number) => number,
  top: number,
): string[] {
  const values = lines.flatMap(({ of }) => samples.map(of));
  const high = Math.max(1, ...values) * 1.1;
  const y = (value: number): number => top + PANEL_HEIGHT * (1 - value / high);
  const ticks = [0, high / 2.2, high / 1.1];
  let labelY = Number.NEGATIVE_INFINITY;
  const labels = lines
    .map(({ name, look, of }) => ({ name, look, at: samples.length === 0 ? top : y(of(samples.at(-1)!)) }))
    .sort((a, b) => a.at - b.at)
    .flatMap(({ name, look, at }) => {
      labelY = Math.max(at, labelY + 14);
      return [
        horizontal(RIGHT + 4, RIGHT + 16, labelY, look),
        text(RIGHT + 20, labelY, name, { size: 11, look: "muted" }),
      ];
    });
  return [
    text(MARGIN, top - 14, unit === "" ? title : `${title}, ${unit}`, { size: 13, look: "ink bold" }),
    ...ticks.flatMap((value) => [
      horizontal(LEFT, RIGHT, y(value), "grid"),
      text(LEFT - 8, y(value), String(Math.round(value)), { size: 11, look: "muted", anchor: "end" }),
    ]),
    ...lines.map(({ of, look }) =>
      polyline(
        samples.map((sample) => [x(sample.seconds), y(of(sample))]),
        look,
      ),
    ),
    ...labels,
  ];
}

/** A row for each kind; the name stands where it fits. */
function drawFaults(name: string, incidents: readonly Incident[], x: (s: number) => number, top: number): string[] {
  const middle = top + ROW_HEIGHT / 2;
  const marks = incidents
    .filter((incident) => incident.name === name)
    .map(({ seconds, error }) =>
      vertical(x(seconds), top + 3, top + ROW_HEIGHT - 3, error === undefined ? "line-ctsync" : "goal"),
    );
  const size = textWidth(name, 11) > PAGE_WIDTH - RIGHT - 12 ? 8 : 10;
  return [horizontal(LEFT, RIGHT, middle, "grid"), ...marks, text(RIGHT + 6, middle, name, { size, look: "muted" })];
}

export function page(outcome: Outcome, pictureName: string): string {
  const { options, samples, incidents, calmSeconds, flows, complaints } = outcome;
  const calm = samples.filter(({ seconds }) => seconds >= calmSeconds);
  const half = calm.length >> 1;
  const parts = [calm.slice(0, half), calm.slice(half)];
  const medians = (of: (sample: Sample) => number): string =>
    parts.map((part) => (part.length === 0 ? "none" : median(part.map(of)).toFixed(1))).join(" | ");
  const names = [...new Set(incidents.map(({ name }) => name))].sort();
  const rows = names.map((name) => {
    const some = incidents.filter((incident) => incident.name === name);
    const healed = some.filter(({ error }) => error === undefined).map(({ healMs }) => healMs);
    const times =
      healed.length === 0 ? "none | none" : `${median(healed).toFixed(0)} | ${Math.max(...healed).toFixed(0)}`;
    return `| ${name} | ${some.length} | ${some.length - healed.length} | ${times} |`;
  });
  return `# A soak of ${options.minutes} minutes

Seed ${options.seed}, ${options.load.sealed ? "a sealed link" : "an open link"}: ${flows.begun} flows began, ${flows.changed} changed, ${flows.ended} ended, ${options.load.alive} stood at a time.
${incidents.length} faults, after each of which kernel, internal cache and the peer's external cache were compared flow by flow.

**${complaints.length === 0 ? "Verdict: all equal, nothing grew." : `Verdict: FAILED, ${complaints.length} complaints.`}**
${complaints.map((complaint) => `\n- ${complaint.replaceAll("\n", " ")}`).join("")}

![Memory, descriptors, flows and faults over time](${pictureName})

| medians from ${clock(calmSeconds)} on, when no daemon is killed any more | first half | second half |
|---|---|---|
| memory of daemon 1, MB | ${medians(({ bytes }) => bytes[0] / 1e6)} |
| memory of daemon 2, MB | ${medians(({ bytes }) => bytes[1] / 1e6)} |
| descriptors of daemon 1 | ${medians(({ descriptors }) => descriptors[0])} |
| descriptors of daemon 2 | ${medians(({ descriptors }) => descriptors[1])} |

| fault | times | not healed | equal again after, ms: median | longest |
|---|---|---|---|---|
${rows.join("\n")}
`;
}
