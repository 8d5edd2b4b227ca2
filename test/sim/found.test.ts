/** Stories that ended badly once, by their seeds. Each says what went wrong: a seed alone says nothing to anybody. */
import { describe, expect, test } from "bun:test";
import { loadCode, ROOT } from "./code.ts";
import { runSeed } from "./scenario.ts";
import type { Fixed } from "./world.ts";

const code = await loadCode(ROOT);
const EXTENDED_PAIR: Fixed = { nodes: 2, kind: "sealed", settings: { isExtended: true } };

const FOUND: readonly (readonly [what: string, seed: number, worlds: Fixed])[] = [
  [
    "both daemons were restarted, roles unsaid; what a former primary found in its kernel kept a flow from the new one whose beginning no event told",
    58,
    EXTENDED_PAIR,
  ],
  [
    "the present primary was restarted, and its peer, backup now, had never heard that it took over: what the peer repeated kept its flows from it",
    1_427,
    EXTENDED_PAIR,
  ],
  [
    "the present primary was restarted, its clock with it: what moved there since was lower than what a backup had claimed before they met",
    952,
    EXTENDED_PAIR,
  ],
  [
    "a peer was restarted before it had answered the greeting of a node that does not ask at its start: flows that ended meanwhile stayed",
    377,
    { nodes: 2, kind: "checked" },
  ],
  [
    "a link that was cut in one direction while a node greeted: on the full ring another message was the oldest each second, and none overdue",
    3_013,
    { nodes: 2, kind: "checked" },
  ],
];

describe("what went wrong once, and does not", () => {
  test.each(FOUND)("%s: seed %d", (_, seed, worlds) => {
    expect(runSeed(seed, code, worlds).convergedMs).toBeLessThan(30_000);
  });
});
