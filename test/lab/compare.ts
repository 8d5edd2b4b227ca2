/**
 * Two tables of flows compared, a line a flow. What differs is counted and shown by its first few: a table has too many
 * lines to print.
 */
const SHOWN_MAX = 5;

export interface Difference {
  /** Lines that `wanted` has and `found` has not, and the other way round. */
  readonly missing: readonly string[];
  readonly unwanted: readonly string[];
}

/** Counts what is there twice, too. */
export function compareLines(wanted: readonly string[], found: readonly string[]): Difference {
  const counts = new Map<string, number>();
  for (const line of wanted) counts.set(line, (counts.get(line) ?? 0) + 1);
  const unwanted: string[] = [];
  for (const line of found) {
    const left = counts.get(line) ?? 0;
    if (left === 0) unwanted.push(line);
    else counts.set(line, left - 1);
  }
  const missing = [...counts].flatMap(([line, left]) => Array<string>(left).fill(line));
  return { missing, unwanted };
}

/** "equal", or what differs. */
export function describe({ missing, unwanted }: Difference): string {
  const lines = (what: string, some: readonly string[]): string[] =>
    some.length === 0 ? [] : [`${some.length} ${what}`, ...some.slice(0, SHOWN_MAX).map((line) => `  ${line}`)];
  const said = [...lines("missing", missing), ...lines("unwanted", unwanted)];
  return said.length === 0 ? "equal" : said.join("\n");
}
