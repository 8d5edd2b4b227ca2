/**
 * Turns a mistake into one line that can be acted upon:
 *
 *   /etc/ctsync/ctsync.toml: link[0].port: UDP ports are 1 to 65535 (found 70000)
 */
export function explain(file: string, path: readonly PropertyKey[], text: string, document: unknown): string {
  const found = valueAt(document, path);
  const foundText = found === undefined ? "" : ` (found ${describe(found)})`;
  const at = pathText(path);
  return `${file}: ${at === "" ? "" : `${at}: `}${printable(text + foundText)}`;
}

/** One line whatever the file holds: what would steer a terminal, or turn its text round, is shown by its number. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);

/** `link[0].port`, as TOML's dotted keys with list positions from 0; a key that is no bare key stays quoted. */
function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") {
      text += `[${part}]`;
      continue;
    }
    const key = String(part);
    text += `${text === "" ? "" : "."}${/^[\w-]+$/.test(key) ? key : printable(JSON.stringify(key))}`;
  }
  return text;
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const part of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return value;
}

const TEXT_MAX = 80;

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.length === 1 ? "a list of 1" : `a list of ${value.length}`;
  if (typeof value === "string") {
    return JSON.stringify(value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value);
  }
  if (typeof value === "object" && value !== null) {
    return Object.getPrototypeOf(value) === Object.prototype ? "a table" : `the date or time ${String(value)}`;
  }
  return String(value);
}
