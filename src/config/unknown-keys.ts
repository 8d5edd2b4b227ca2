/**
 * Every key of a document that the schema does not know, with the nearest one it does know: first of the same table,
 * then of any other, because a right key in the wrong table is as common as a typo.
 */
import { nearest } from "./nearest.ts";
import { ConfigSchema } from "./schema.ts";

/** What this file reads of a valibot schema: tables have `entries`, lists an `item`, optional ones what they wrap. */
interface Shape {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly wrapped?: Shape;
}

export interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

export function unknownKeys(document: unknown): Mistake[] {
  return [...unknownUnder(document, ConfigSchema, [])];
}

function* unknownUnder(value: unknown, schema: Shape, path: readonly PropertyKey[]): Generator<Mistake> {
  if (value === null || typeof value !== "object") return;
  const { wrapped, item, entries } = schema;
  if (wrapped !== undefined) yield* unknownUnder(value, wrapped, path);
  else if (item !== undefined && Array.isArray(value)) {
    for (const [index, element] of value.entries()) yield* unknownUnder(element, item, [...path, index]);
  } else if (entries !== undefined && !Array.isArray(value)) {
    for (const [key, element] of Object.entries(value)) {
      if (Object.hasOwn(entries, key)) yield* unknownUnder(element, entries[key], [...path, key]);
      else yield { path: [...path, key], text: `unknown key${advice(key, Object.keys(entries))}` };
    }
  }
}

function advice(key: string, siblings: readonly string[]): string {
  const near = nearest(key, siblings);
  if (near !== undefined) return `, did you mean "${near}"?`;
  const elsewhere = allKeys(ConfigSchema, "");
  const name = nearest(key, elsewhere.keys());
  if (name !== undefined) return `, did you mean "${elsewhere.get(name)}"?`;
  return `, known here: ${siblings.join(", ")}`;
}

/** The last part of every key in the schema → the whole key as a reader would write it. */
function allKeys(schema: Shape, prefix: string, found = new Map<string, string>()): Map<string, string> {
  if (schema.wrapped !== undefined) return allKeys(schema.wrapped, prefix, found);
  if (schema.item !== undefined) return allKeys(schema.item, prefix, found);
  for (const [key, entry] of Object.entries(schema.entries ?? {})) {
    const whole = prefix === "" ? key : `${prefix}.${key}`;
    if (!found.has(key)) found.set(key, whole);
    allKeys(entry, whole, found);
  }
  return found;
}
