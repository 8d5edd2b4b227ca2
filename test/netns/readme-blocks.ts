/**
 * The fenced blocks of README.md that say for whom they are, in the words after the language:
 *
 *   ```toml fw1:/etc/ctsync/ctsync.toml     a file of FW1's ("both:": of either)
 *   ```sh both                              commands to type on either ("fw1": on FW1 alone)
 *
 * Renderers of Markdown show the block and leave those words out.
 */
import { resolve } from "node:path";

export type FirewallName = "fw1" | "fw2";

interface Block {
  readonly words: string;
  readonly text: string;
}

export type Step =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | { readonly kind: "command"; readonly line: string };

const ROOT = resolve(import.meta.dir, "../..");
const blocks: readonly Block[] = [
  ...(await Bun.file(`${ROOT}/README.md`).text()).matchAll(/^```\w+ ([^\n]+)\n(.*?)^```$/gms),
].map(([, words = "", text = ""]) => ({ words, text }));

/** What somebody who follows the README does on this firewall, in the README's order. */
export function stepsFor(firewall: FirewallName): Step[] {
  return blocks.flatMap(({ words, text }): Step[] => {
    if (words === "both" || words === firewall) return linesOf(text).map((line) => ({ kind: "command", line }));
    const [whose, path] = words.split(":");
    if (path === undefined || (whose !== firewall && whose !== "both")) return [];
    return [{ kind: "file", path, text }];
  });
}

/** The one block with these words. */
export function blockOf(words: string): string {
  const found = blocks.filter((block) => block.words === words);
  if (found.length !== 1) throw new Error(`README.md has ${found.length} blocks "${words}"`);
  return found[0]!.text;
}

export const linesOf = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");
