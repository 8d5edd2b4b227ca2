/** What tells two states of one flow, or of one expectation, apart, in words: for people who compare caches. */
import type { Expectation } from "./expectation.ts";
import { expectationJson } from "./expectation-text.ts";
import { type Flow, HAS, REPLY_SRC, TIMEOUT } from "./flow.ts";
import { flowJson } from "./json.ts";

export interface FieldDifference {
  /** As `flowJson` names it. */
  readonly field: string;
  readonly left: string;
  readonly right: string;
}

/** Every field that differs, but for those in `except`. What one does not know is equal to nothing and to zeros. */
export function fieldDifferences(left: Flow, right: Flow, except: readonly string[] = []): FieldDifference[] {
  const found = differencesOf(flowJson(left, 0), flowJson(right, 0), except);
  if (found.length > 0) return found;
  const word = left.words.findIndex(
    (value, at) => at >= REPLY_SRC && at !== HAS && at !== TIMEOUT && value !== right.words[at],
  );
  return word < 0 ? [] : [{ field: `word ${word}`, left: hex(left.words[word]), right: hex(right.words[word]) }];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** The same of two expectations; the time that is left does not count. */
export const expectationDifferences = (left: Expectation, right: Expectation): FieldDifference[] =>
  differencesOf(expectationJson(left, 0), expectationJson(right, 0), ["timeoutSeconds"]);

function differencesOf(left: string, right: string, except: readonly string[]): FieldDifference[] {
  const lefts = fieldsOf(left);
  const rights = fieldsOf(right);
  const found: FieldDifference[] = [];
  for (const field of new Set([...lefts.keys(), ...rights.keys()])) {
    const [a, b] = [lefts.get(field), rights.get(field)];
    if (a !== b && !except.includes(field)) found.push({ field, left: a ?? "none", right: b ?? "none" });
  }
  return found;
}

function fieldsOf(json: string): Map<string, string> {
  const object = JSON.parse(json) as Record<string, unknown>;
  const known = Object.entries(object).filter(([, value]) => !isNothing(value));
  return new Map(known.map(([field, value]) => [field, typeof value === "string" ? value : JSON.stringify(value)]));
}

/** Zeros and what is empty. */
const isNothing = (value: unknown): boolean =>
  typeof value === "object" && value !== null ? Object.values(value).every(isNothing) : value === 0 || value === "";
