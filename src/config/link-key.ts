/**
 * The key file of a link: text, the same file on both firewalls.
 *
 *   # made 2026-11-26T04:40:00Z on fw1
 *   ctsync-key-1 5f3a9c01 3q2+7w…                 a key: its id, then 32 bytes in base64
 *   ctsync-key-1 77b0e412 0aXl9Q…                 the second one, while keys are changed
 *
 * The first key is sent with, each is accepted. The id is derived from the key, so it names the key without telling it, and
 * a key that was changed or cut on its way is noticed.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import { type Result, refuse, succeed } from "../result.ts";

export const KEY_BYTES = 32;
/** The one that is used, and the one that comes next or that goes. */
export const KEYS_MAX = 2;

export interface LinkKey {
  /** 8 hexadecimal digits. */
  readonly id: string;
  readonly secret: Uint8Array;
}

/** One or two keys; the first is sent with. */
export type LinkKeys = readonly [LinkKey, ...LinkKey[]];

const WORD = "ctsync-key-1";
/** RFC 4648, with its padding: 32 bytes have 44 characters. */
const BASE64 = /^[A-Za-z0-9+/]{43}=$/;

export function linkKey(secret: Uint8Array): LinkKey {
  const id = Buffer.from(hkdfSync("sha256", secret, "", "ctsync key id", 4)).toString("hex");
  return { id, secret };
}

export const randomKey = (): LinkKey => linkKey(randomBytes(KEY_BYTES));

/** The file's text with these keys, and what is said of each in a comment. */
export function keyFileText(keys: readonly LinkKey[], comment: string): string {
  const lines = keys.map(({ id, secret }) => `${WORD} ${id} ${Buffer.from(secret).toString("base64")}\n`);
  const head = [
    "# The key of ctsync's sync link. Keep it secret; both firewalls have the same file.",
    "# The first key is sent with, each key is accepted.",
    `# ${comment}`,
  ];
  return `${head.join("\n")}\n${lines.join("")}`;
}

export function parseLinkKeys(text: string): Result<LinkKeys> {
  const keys: LinkKey[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const key = parseLine(trimmed);
    if (!key.ok) return refuse(`line ${i + 1}: ${key.error}`);
    if (keys.some(({ id }) => id === key.value.id)) return refuse(`line ${i + 1}: key ${key.value.id} is there twice`);
    if (keys.length === KEYS_MAX) {
      return refuse(`line ${i + 1}: a third key. One is used, one is accepted beside it; remove the oldest`);
    }
    keys.push(key.value);
  }
  const [first, ...others] = keys;
  return first === undefined
    ? refuse("there is no key in it. Make one with: ctsync keygen")
    : succeed([first, ...others]);
}

function parseLine(line: string): Result<LinkKey> {
  const [word, id, text, ...more] = line.split(/\s+/);
  if (word !== WORD) return refuse(`this is no key: a key's line begins with ${WORD}. Make one with: ctsync keygen`);
  if (id === undefined || text === undefined || more.length > 0) {
    return refuse(`expected ${WORD}, the key's id and the key`);
  }
  if (!BASE64.test(text)) return refuse(`the key has not 44 characters of base64 (${KEY_BYTES} bytes): copy it whole`);
  const key = linkKey(Buffer.from(text, "base64"));
  if (key.id !== id) return refuse(`the key is not the one that its id ${id} names: it was changed. Copy it again`);
  return succeed(key);
}
