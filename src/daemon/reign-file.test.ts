import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "./log.ts";
import { ReignFile } from "./reign-file.ts";

function inFolder(use: (folder: string, open: () => ReignFile, warnings: string[]) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "ctsync-reign-"));
  const warnings: string[] = [];
  const log = { warning: (text: string) => warnings.push(text) } as unknown as Log;
  try {
    use(folder, () => new ReignFile(join(folder, "socket"), log), warnings);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("what is kept the next daemon reads, until there is nothing to go on with", () => {
  inFolder((folder, open, warnings) => {
    const file = open();
    expect(file.read()).toBeNull();
    file.keep({ known: 2 ** 52 + 5, lives: 0 });
    expect(open().read()).toEqual({ known: 2 ** 52 + 5, lives: 0 });
    file.keep({ known: 7, lives: 3 });
    expect(open().read()).toEqual({ known: 7, lives: 3 });
    expect(readdirSync(folder)).toEqual(["socket.reign"]);
    file.keep(null);
    expect(open().read()).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
    expect(warnings).toEqual([]);
  });
});

test.each([
  ["nothing", ""],
  ["half a line", "ctsync reign 1 4294967300"],
  ["another version", "ctsync reign 2 4 0\n"],
  ["no number", "ctsync reign 1 x 0\n"],
  ["a number below 0", "ctsync reign 1 -4 0\n"],
  ["more than a claim can be", `ctsync reign 1 ${2 ** 53} 0\n`],
  ["more than a line", "ctsync reign 1 4 0\nctsync reign 1 5 0\n"],
  ["bytes", "\0\xff\xfe"],
])("bad content, %s: a warning, and as if it were absent", (_, text) => {
  inFolder((_folder, open, warnings) => {
    const file = open();
    writeFileSync(file.path, text, "latin1");
    expect(file.read()).toBeNull();
    expect(warnings).toEqual([expect.stringContaining(file.path)]);
  });
});

test("where it cannot be written it is said once, and no older one is left", () => {
  inFolder((_, open, warnings) => {
    const file = open();
    file.keep({ known: 4, lives: 0 });
    mkdirSync(`${file.path}.part`);
    for (const known of [5, 6]) file.keep({ known, lives: 0 });
    expect(warnings).toEqual([expect.stringContaining("cannot be written")]);
    expect(() => readFileSync(file.path)).toThrow("ENOENT");
  });
});
