import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { readLinkKeys, writeSecret } from "./key-file.ts";
import { KEY_BYTES, keyFileText, linkKey, parseLinkKeys, randomKey } from "./link-key.ts";

const key = linkKey(new Uint8Array(KEY_BYTES).fill(7));
const text = keyFileText([key], "for a test");
const line = text.split("\n").find((found) => found.startsWith("ctsync-key-1"))!;

const mistake = (found: string): string => {
  const keys = parseLinkKeys(found);
  return keys.ok ? "none" : keys.error;
};

describe("the text of a key file", () => {
  test("says the same keys when it is read again, in their order", () => {
    const secret = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });
    fc.assert(
      fc.property(fc.uniqueArray(secret, { minLength: 1, maxLength: 2, selector: String }), (secrets) => {
        const keys = secrets.map((found) => linkKey(found));
        const again = parseLinkKeys(keyFileText(keys, "x"));
        expect(again.ok && again.value.map(({ secret: found }) => [...found])).toEqual(secrets.map((s) => [...s]));
        expect(again.ok && again.value.map(({ id }) => id)).toEqual(keys.map(({ id }) => id));
      }),
      { numRuns: 50 },
    );
  });

  test("has no key that was changed in any character", () => {
    const other = (character: string): string => (character === "A" ? "B" : "A");
    for (let i = 0; i < line.length; i++) {
      // The last character of the base64 text carries four bits that say nothing; they too must be as they were written.
      expect(mistake(line.slice(0, i) + other(line[i]!) + line.slice(i + 1)), `character ${i}`).not.toBe("none");
    }
  });

  test.each([
    ["", "there is no key in it. Make one with: ctsync keygen"],
    ["# only a comment\n\n", "there is no key in it. Make one with: ctsync keygen"],
    ["\nsecret\n", "line 2: this is no key: a key's line begins with ctsync-key-1. Make one with: ctsync keygen"],
    [`${line} more`, "line 1: expected ctsync-key-1, the key's id and the key"],
    ["ctsync-key-1 5f3a9c01", "line 1: expected ctsync-key-1, the key's id and the key"],
    [line.slice(0, -4), "line 1: the key has not 44 characters of base64 (32 bytes): copy it whole"],
    [
      line.replace(key.id, "00000000"),
      "line 1: the key is not the one that its id 00000000 names: it was changed. Copy it again",
    ],
    [`${line}\n${line}`, `line 2: key ${key.id} is there twice`],
    [
      keyFileText([randomKey(), randomKey(), randomKey()], "x"),
      "line 6: a third key. One is used, one is accepted beside it; remove the oldest",
    ],
  ])("%j: %s", (found, error) => {
    expect(mistake(found)).toBe(error);
  });
});

describe("a key file", () => {
  const directory = (): Disposable & { readonly path: string } => {
    const path = mkdtempSync(join(tmpdir(), "ctsync-key-"));
    return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
  };
  const error = (path: string, credentials?: string): string => {
    const keys = readLinkKeys(path, credentials);
    return keys.ok ? "none" : keys.error.replace(path, "FILE");
  };

  test("is made with mode 0600 whatever the umask, is not written over, and leaves nothing beside it", () => {
    using dir = directory();
    const path = join(dir.path, "sub", "link.key");
    const before = process.umask(0);
    try {
      expect(writeSecret(path, text, "new").ok).toBeTrue();
    } finally {
      process.umask(before);
    }
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(error(path)).toBe("none");
    expect(writeSecret(path, "other", "new")).toEqual({ ok: false, error: `${path} is there already` });
    expect(readFileSync(path, "utf8")).toBe(text);
    expect(writeSecret(path, keyFileText([randomKey()], "x"), "replace").ok).toBeTrue();
    expect(readFileSync(path, "utf8")).not.toBe(text);
    expect(readdirSync(join(dir.path, "sub"))).toEqual(["link.key"]);
  });

  test.each([0o644, 0o640, 0o604, 0o660, 0o610, 0o601])("of mode %o is refused", (mode) => {
    using dir = directory();
    const path = join(dir.path, "link.key");
    writeFileSync(path, text);
    chmodSync(path, mode);
    expect(error(path)).toBe(
      `FILE: others than its owner may use it (mode 0${mode.toString(8)}), so it is no secret. ` +
        "Make a new key, or: chmod 600 it",
    );
    chmodSync(path, mode & 0o400 ? 0o400 : 0o600);
    expect(error(path)).toBe("none");
  });

  test("of another user, a directory, a long file and one that is not there are refused", () => {
    using dir = directory();
    const path = join(dir.path, "link.key");
    expect(error(path)).toBe(
      "FILE: there is no such file. Make it on one firewall with: ctsync keygen, and copy it to the other",
    );
    mkdirSync(path);
    expect(error(path)).toBe("FILE: this is no file. A key file is made by: ctsync keygen");
    rmSync(path, { recursive: true });
    writeFileSync(path, "#".repeat(10_000), { mode: 0o600 });
    expect(error(path)).toBe("FILE: this is no key file: it has more than 8192 bytes");
    chownSync(path, 64_123, 64_123);
    expect(error(path)).toBe("FILE: it belongs to user 64123: make it root's, with chown root");
  });

  test("of systemd's is read in its place, and may be readable by an ACL, which shows among the group's bits", () => {
    using dir = directory();
    using credentials = directory();
    const path = join(dir.path, "link.key");
    expect(writeSecret(path, keyFileText([randomKey()], "x"), "new").ok).toBeTrue();
    const given = join(credentials.path, "link.key");
    writeFileSync(given, text, { mode: 0o600 });
    chmodSync(given, 0o440);
    const keys = readLinkKeys(path, credentials.path);
    expect(keys.ok && keys.value[0].id).toBe(key.id);
    chmodSync(given, 0o444);
    expect(error(path, credentials.path)).toContain("others than its owner may use it (mode 0444)");
    rmSync(given);
    expect(error(path, credentials.path)).toBe("none");
  });
});
