/** A copy of the pure core with one text changed, loaded beside the tree's own. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Code, loadCode, ROOT } from "./code.ts";
import type { Invariant } from "./violation.ts";
import type { Fixed } from "./world.ts";

export interface Mutant {
  /** What the code does wrong now. */
  readonly fault: string;
  /** File below src. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly text: string;
  readonly becomes: string;
  /** What the worlds must have, for what few of them show. */
  readonly worlds?: Fixed;
  /** Seeds known to catch it: tried first. */
  readonly seeds: readonly number[];
  /** What they find. */
  readonly breaks: readonly Invariant[];
}

const CORE = ["flow", "wire", "filter", "cache", "sync"];

export async function loadMutant({ file, text, becomes }: Mutant): Promise<Code> {
  const root = mkdtempSync(join(tmpdir(), "ctsync-mutant-"));
  try {
    const alone = readdirSync(join(ROOT, "src")).filter((name) => name.startsWith("replica"));
    for (const part of [...CORE, ...alone])
      cpSync(join(ROOT, "src", part), join(root, "src", part), {
        recursive: true,
        filter: (path) => !path.endsWith(".test.ts"),
      });
    const path = join(root, "src", file);
    const parts = readFileSync(path, "utf8").split(text);
    if (parts.length !== 2) throw new Error(`src/${file} says ${parts.length - 1} times, not once: ${text}`);
    writeFileSync(path, parts.join(becomes));
    return await loadCode(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
