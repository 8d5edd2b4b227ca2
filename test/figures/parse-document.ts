/** Reads a JSON document that this suite or that one wrote, and names the place of what is wrong in it. */
import * as v from "valibot";
import { type Result, refuse, succeed } from "../../src/result.ts";

export function parseDocument<const Schema extends v.GenericSchema>(
  text: string,
  schema: Schema,
): Result<v.InferOutput<Schema>> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return refuse(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const checked = v.safeParse(schema, document);
  if (checked.success) return succeed(checked.output);
  const [issue] = checked.issues;
  return refuse(`${issue.path?.map(({ key }) => key).join(".") ?? "document"}: ${issue.message}`);
}
