/**
 * What the pictures are drawn with: a page with title, colours for light and for dark screens, and text whose width is
 * known.
 *
 * The page brings its own background, so that it reads the same wherever it is embedded. Fonts are whatever the reader
 * has; widths are reckoned with those of DejaVu Sans, the widest of the common ones, so labels never meet.
 */

export const PAGE_WIDTH = 960;
export const MARGIN = 28;

const EMS: readonly (readonly [ReadonlySet<string>, number])[] = [
  [new Set(" ijl.,:;'|!"), 0.34],
  [new Set("ftrI()[]/-·"), 0.42],
  [new Set("mwMW@%×≤≥—"), 0.98],
];
const EMS_OF_OTHERS = 0.64;
const BOLD_FACTOR = 1.12;

const LIGHT = {
  page: "#ffffff",
  edge: "#d0d7de",
  ink: "#1f2328",
  muted: "#59636e",
  grid: "#e4e8ec",
  met: "#1a7f37",
  missed: "#c4320a",
};
const DARK = {
  page: "#0d1117",
  edge: "#3d444d",
  ink: "#e6edf3",
  muted: "#9198a1",
  grid: "#2a3038",
  met: "#3fb950",
  missed: "#ff7b54",
};
const LIGHT_DATA = {
  conntrackd: "#a3abb4",
  ctsync: "#0b62d6",
  limit: "#7aa7dc",
  goal: "#e8830c",
  direct: "#b98a5e",
  commit: "#1a9c7e",
};
const DARK_DATA = {
  conntrackd: "#7d8590",
  ctsync: "#3b8eff",
  limit: "#5f86b8",
  goal: "#ffb347",
  direct: "#b98a5e",
  commit: "#35c4a0",
};

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** In pixels, never too small. */
export function textWidth(text: string, fontSize: number, isBold = false): number {
  let ems = 0;
  for (const character of text) ems += EMS.find(([members]) => members.has(character))?.[1] ?? EMS_OF_OTHERS;
  return ems * fontSize * (isBold ? BOLD_FACTOR : 1);
}

/** Lines no wider than `widthMax`, broken at spaces; a single longer word stays whole. */
export function wrapText(text: string, fontSize: number, widthMax: number, isBold = false): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && textWidth(longer, fontSize, isBold) > widthMax) lines.push(word);
    else lines.splice(Math.max(0, lines.length - 1), 1, longer);
  }
  return lines;
}

export interface TextStyle {
  readonly size: number;
  /** Classes of the style sheet: ink, muted, met, missed; bold. */
  readonly look?: string;
  readonly anchor?: "start" | "middle" | "end";
  /** Keeps lines behind the text from running into it. */
  readonly isHaloed?: boolean;
}

/** Where a text of this width finds room, from `x` to the right, with none of the marks running through it. */
export function roomAfter(x: number, width: number, marks: readonly number[], gap: number): number {
  let start = x + gap;
  for (const mark of marks.toSorted((a, b) => a - b)) {
    if (mark > start - gap && mark < start + width + gap) start = mark + gap;
  }
  return start;
}

const coordinate = (value: number): string => `${Math.round(value * 10) / 10}`;

/** `y` is the middle of the line. */
export function text(x: number, y: number, content: string, style: TextStyle): string {
  const { size, look = "ink", anchor = "start", isHaloed = false } = style;
  const at = `x="${coordinate(x)}" y="${coordinate(y + size * 0.35)}"`;
  const classes = isHaloed ? `${look} halo` : look;
  return `<text ${at} font-size="${size}" class="${classes}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

export function rectangle(x: number, y: number, width: number, height: number, look: string): string {
  const size = `width="${coordinate(Math.max(width, 0))}" height="${coordinate(height)}"`;
  return `<rect x="${coordinate(x)}" y="${coordinate(y)}" ${size} class="${look}"/>`;
}

export function diamond(x: number, y: number, look: string): string {
  return `<path d="M${coordinate(x - 6)} ${coordinate(y)}l6 -6 6 6 -6 6z" class="${look}"/>`;
}

export function disc(x: number, y: number, look: string): string {
  return `<circle cx="${coordinate(x)}" cy="${coordinate(y)}" r="4.5" class="${look}"/>`;
}

/** A path through the points. */
export function polyline(points: readonly (readonly [number, number])[], look: string): string {
  const path = points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${coordinate(x)} ${coordinate(y)}`).join(" ");
  return `<path d="${path}" class="${look}"/>`;
}

export function horizontal(fromX: number, toX: number, y: number, look: string): string {
  return `<path d="M${coordinate(fromX)} ${coordinate(y)}H${coordinate(toX)}" class="${look}"/>`;
}

export function vertical(x: number, fromY: number, toY: number, look: string): string {
  return `<path d="M${coordinate(x)} ${coordinate(fromY)}V${coordinate(toY)}" class="${look}"/>`;
}

/** From lowest to highest reading, with a cap at both ends; nothing where they are too close to be told apart. */
export function whisker(fromX: number, toX: number, y: number): string {
  if (toX - fromX < 1) return "";
  const cap = (x: number): string => vertical(x, y - 4, y + 4, "whisker");
  return cap(fromX) + horizontal(fromX, toX, y, "whisker") + cap(toX);
}

export interface Page {
  readonly title: string;
  /** What the picture says, for who cannot see it. */
  readonly description: string;
  readonly height: number;
  readonly body: readonly string[];
}

export function renderPage({ title, description, height, body }: Page): string {
  const high = Math.ceil(height);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${PAGE_WIDTH} ${high}" width="${PAGE_WIDTH}" height="${high}" role="img" aria-labelledby="title description" font-family="-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif">
<title id="title">${escapeXml(title)}</title>
<desc id="description">${escapeXml(description)}</desc>
<style>
${styleSheet(LIGHT, LIGHT_DATA)}
@media (prefers-color-scheme: dark) {
${styleSheet(DARK, DARK_DATA)}
}
</style>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="hatch-ground"/><rect width="2.5" height="6" class="hatch-line"/></pattern></defs>
<rect x="0.5" y="0.5" width="${PAGE_WIDTH - 1}" height="${high - 1}" rx="10" class="page"/>
${body.filter(Boolean).join("\n")}
</svg>
`;
}

function styleSheet(page: typeof LIGHT, data: typeof LIGHT_DATA): string {
  return `.page { fill: ${page.page}; stroke: ${page.edge}; }
.ink { fill: ${page.ink}; } .muted { fill: ${page.muted}; } .bold { font-weight: 600; }
.halo { paint-order: stroke; stroke: ${page.page}; stroke-width: 5; stroke-linejoin: round; }
.met { fill: ${page.met}; } .missed { fill: ${page.missed}; }
.grid { stroke: ${page.grid}; fill: none; } .axis { stroke: ${page.muted}; stroke-width: 1.5; fill: none; }
.whisker { stroke: ${page.ink}; stroke-width: 1.2; fill: none; }
.goal { stroke: ${data.goal}; stroke-width: 2.5; fill: none; }
.conntrackd { fill: ${data.conntrackd}; } .ctsync { fill: ${data.ctsync}; }
.conntrackd-direct { fill: ${data.direct}; } .ctsync-live { fill: ${data.ctsync}; } .ctsync-commit { fill: ${data.commit}; }
.limit { fill: url(#hatch); stroke: ${data.limit}; stroke-width: 1; }
.hatch-ground { fill: ${page.page}; } .hatch-line { fill: ${data.limit}; }
.line-conntrackd { stroke: ${data.conntrackd}; stroke-width: 2.5; fill: none; }
.line-ctsync { stroke: ${data.ctsync}; stroke-width: 2.5; fill: none; }
.line-limit { stroke: ${data.limit}; stroke-width: 2; stroke-dasharray: 5 3; fill: none; }`;
}
