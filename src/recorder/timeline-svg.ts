/**
 * A failover as a picture: phases as bars, moments as dots, over one axis of time. What matters in a failover lies between
 * a tenth of a millisecond and some seconds, so the axis is logarithmic to both sides of keepalived's word; every bar
 * carries its length in numbers.
 *
 * Fonts are whatever the reader has; widths are reckoned with those of a wide one, so that labels never meet.
 */
import { milliseconds } from "./sentence.ts";
import type { Failover, Moment, Phase } from "./timeline.ts";
import { summaryLines, title } from "./timeline-text.ts";

const WIDTH = 1_080;
const MARGIN = 24;
/** The plot stands right of the column of names and times. */
const PLOT_FROM = 210;
const PLOT_TO = WIDTH - MARGIN - 8;
/** The axis ends before, so that a bar over all of it has room for its length. */
const AXIS_TO = PLOT_TO - 64;
const TITLE_SIZE = 17;
const TEXT_SIZE = 12.5;
const ROW = 22;
const BAR = 12;
const GAP = 6;
/** Around 0 the axis is linear, up to about so far. */
const LINEAR_MS = 0.1;
const TICKS = [1, 10, 100, 1_000, 10_000, 100_000];

const STYLE = `
  .page { fill: #ffffff } .ink { fill: #1f2328 } .muted { fill: #59636e } .grid { stroke: #e1e5e9 } .word { stroke: #1f2328 }
  .bar { fill: #0b62d6 } .lost { fill: #c9ced4 } .dot { fill: #0b62d6 } .bad { fill: #c4320a }
  text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: ${TEXT_SIZE}px }
  .halo { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; stroke-linejoin: round }
  .title { font-size: ${TITLE_SIZE}px; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .ink { fill: #e6edf3 } .muted { fill: #9198a1 } .grid { stroke: #2a3038 } .word { stroke: #e6edf3 }
    .bar { fill: #3b8eff } .lost { fill: #59636e } .dot { fill: #3b8eff } .bad { fill: #ff7b54 } .halo { stroke: #0d1117 }
  }`;

/** One picture, the failovers one below the other. */
export function timelineSvg(failovers: readonly Failover[]): string {
  let y = MARGIN;
  const parts: string[] = [];
  for (const failover of failovers) {
    const drawn = drawFailover(failover, y);
    parts.push(...drawn.parts);
    y = drawn.endY + MARGIN;
  }
  const described = failovers.map(title).join("; ");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img">
<title>${escapeXml(described)}</title>
<style>${STYLE}
</style>
<rect class="page" width="${WIDTH}" height="${y}"/>
${parts.join("\n")}
</svg>
`;
}

function drawFailover(failover: Failover, topY: number): { readonly parts: string[]; readonly endY: number } {
  const { phases, moments } = failover;
  const parts: string[] = [];
  let y = topY + TITLE_SIZE;
  parts.push(text(title(failover), MARGIN, y, "title ink"));
  for (const line of summaryLines(failover)) {
    y += ROW - 4;
    parts.push(text(cut(line, WIDTH - 2 * MARGIN), MARGIN, y, line.startsWith("FAILED") ? "bad" : "muted"));
  }
  y += ROW + GAP;
  const axis = new Axis([...phases.flatMap(({ fromMs, toMs }) => [fromMs, toMs]), ...moments.map(({ atMs }) => atMs)]);
  const endY = y + GAP + (phases.length + moments.length) * ROW + 2 * GAP;
  parts.push(...axis.draw(y, endY));
  const phasesY = y + GAP;
  const momentsY = phasesY + phases.length * ROW + 2 * GAP;
  parts.push(...phases.flatMap((phase, i) => drawPhase(phase, axis, phasesY + i * ROW)));
  parts.push(...moments.flatMap((moment, i) => drawMoment(moment, axis, momentsY + i * ROW)));
  return { parts, endY };
}

class Axis {
  readonly #from: number;
  readonly #to: number;

  constructor(timesMs: readonly number[]) {
    this.#from = Math.min(...timesMs.map(bent), bent(-1)) - 0.15;
    this.#to = Math.max(...timesMs.map(bent), bent(10)) + 0.15;
  }

  x(timeMs: number): number {
    return PLOT_FROM + ((bent(timeMs) - this.#from) / (this.#to - this.#from)) * (AXIS_TO - PLOT_FROM);
  }

  draw(topY: number, endY: number): string[] {
    const parts = [text("time, logarithmic", PLOT_FROM - 2 * GAP, topY - GAP, "muted", "end")];
    let taken = Number.NEGATIVE_INFINITY;
    for (const timeMs of [...TICKS.map((tick) => -tick).reverse(), 0, ...TICKS]) {
      if (bent(timeMs) < this.#from || bent(timeMs) > this.#to) continue;
      const x = this.x(timeMs);
      const kind = timeMs === 0 ? "word" : "grid";
      parts.push(`<line class="${kind}" x1="${round(x)}" y1="${topY}" x2="${round(x)}" y2="${endY}"/>`);
      const label = timeMs === 0 ? "0" : `${timeMs < 0 ? "−" : "+"}${tickText(Math.abs(timeMs))}`;
      const half = textWidth(label) / 2;
      if (x - half < taken || x + half > WIDTH) continue;
      taken = x + half + GAP;
      parts.push(text(label, x, topY - GAP, "muted", "middle"));
    }
    return parts;
  }
}

function drawPhase({ name, fromMs, toMs }: Phase, axis: Axis, y: number): string[] {
  const from = axis.x(fromMs);
  const width = Math.max(2, axis.x(toMs) - from);
  const barY = y + (ROW - BAR) / 2;
  const kind = name === "peer silent" || name.startsWith("until") ? "lost" : "bar";
  return [
    text(name, PLOT_FROM - 2 * GAP, y + ROW / 2 + 4, "ink", "end"),
    `<rect class="${kind}" x="${round(from)}" y="${barY}" width="${round(width)}" height="${BAR}" rx="2"/>`,
    beside(milliseconds(toMs - fromMs), from, from + width, y, "ink"),
  ];
}

function drawMoment(moment: Moment, axis: Axis, y: number): string[] {
  const { atMs, kind } = moment;
  const x = axis.x(atMs);
  const isBad = kind === "refused" || kind === "split-brain" || kind === "overrun" || moment.text.startsWith("FAILED");
  return [
    text(`${atMs > 0 ? "+" : ""}${milliseconds(atMs)}`, PLOT_FROM - 2 * GAP, y + ROW / 2 + 4, "muted", "end"),
    `<circle class="${isBad ? "bad" : "dot"}" cx="${round(x)}" cy="${y + ROW / 2}" r="4"/>`,
    beside(moment.text, x - 4, x + 4, y, isBad ? "bad" : "ink"),
  ];
}

/** Right of what is drawn if there is room, else left; cut where neither side has enough. */
function beside(label: string, from: number, to: number, y: number, kind: string): string {
  const right = WIDTH - GAP - (to + GAP);
  const left = from - GAP - PLOT_FROM;
  const goesRight = textWidth(label) <= right || right >= left;
  const words = cut(label, goesRight ? right : left);
  return text(words, goesRight ? to + GAP : from - GAP, y + ROW / 2 + 4, `${kind} halo`, goesRight ? "start" : "end");
}

/** Milliseconds as the axis bends them: about a unit for each power of ten. */
const bent = (timeMs: number): number => Math.sign(timeMs) * Math.log10(1 + Math.abs(timeMs) / LINEAR_MS);
const tickText = (timeMs: number): string => (timeMs < 1_000 ? `${timeMs} ms` : `${timeMs / 1_000} s`);
const round = (pixels: number): number => Math.round(pixels * 10) / 10;

function text(content: string, x: number, y: number, kind: string, anchor = "start"): string {
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

/** In pixels, never too small. */
function textWidth(label: string): number {
  let ems = 0;
  for (const character of label)
    ems += /[ ijl.,:;'|!]/.test(character) ? 0.34 : /[mwMW@%−]/.test(character) ? 0.98 : 0.64;
  return ems * TEXT_SIZE;
}

function cut(label: string, widthMax: number): string {
  if (textWidth(label) <= widthMax) return label;
  const characters = [...label];
  while (characters.length > 0 && textWidth(`${characters.join("")}…`) > widthMax) characters.pop();
  return `${characters.join("").trimEnd()}…`;
}

function escapeXml(raw: string): string {
  const named = raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return Array.from(named, (character) => (character < " " || character === "\x7f" ? "\ufffd" : character)).join("");
}
