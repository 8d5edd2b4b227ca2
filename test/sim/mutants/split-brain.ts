/** Faults of what becomes of two primaries' flows after a split brain. */
import type { Mutant } from "../mutate.ts";
import type { Fixed } from "../world.ts";

const SPLIT: Fixed = {
  ...{ nodes: 2, kind: "sealed", backupsHaveTraffic: false, splits: true },
  settings: { isExtended: true, churns: false },
};

export const SPLIT_BRAIN: readonly Mutant[] = [
  {
    fault: "what the other primary let in is not taken on",
    file: "replica-ownership.ts",
    text: "if (this.#reigns && reign !== 0 && reign !== this.#over[peer]) this.wantsTakingOn = true;",
    becomes: "",
    worlds: SPLIT,
    seeds: [1],
    breaks: ["healed"],
  },
  {
    fault: "what moves at a second primary is not told apart from what stood there",
    file: "replica-ownership.ts",
    text: "if (this.active) this.#ours[slot] = this.#clock;",
    becomes: "if (this.active && isNews) this.#ours[slot] = this.#clock;",
    worlds: SPLIT,
    seeds: [2],
    breaks: ["healed"],
  },
  {
    fault: "what only stood at the other primary is taken on",
    file: "sync/claim.ts",
    text: "claim >= FIRST && claim >>> 0 > FOUND",
    becomes: "claim >= FIRST",
    worlds: SPLIT,
    seeds: [4],
    breaks: ["healed"],
  },
  {
    fault: "what ended here is taken on, if the other one saw it too",
    file: "replica-ownership.ts",
    text: "    this.#seenFlows.note(flow.words, this.#ours[slot]);\n",
    becomes: "",
    worlds: SPLIT,
    seeds: [41],
    breaks: ["healed"],
  },
  {
    fault: "whoever claims most is believed to have seen a flow last, though neither heard the other",
    file: "replica-ownership.ts",
    text: "    if (!this.#contact.isAcknowledged(ours) && extension?.isSettled(slot) !== true) return false;\n    return ours <= this.#contact.lost || this.#contact.isLate(claim);\n",
    becomes: "    return ours > 0 && extension !== undefined;\n",
    worlds: SPLIT,
    seeds: [15],
    breaks: ["healed"],
  },
  {
    fault: "an end does not tell how late it was",
    file: "replica-ownership.ts",
    text: "    this.#ours[slot] = this.reigning.base;\n    for (const session of this.#sessions) session.changed(slot);\n  }\n",
    becomes: "  }\n",
    worlds: SPLIT,
    seeds: [20],
    breaks: ["healed"],
  },
  {
    fault: "what a daemon found anew, of which the one before it had claimed more, counts as moved",
    file: "replica-ownership.ts",
    text: "if (!isFound(claim) || reignOf(this.#theirs[slot]) < reignOf(claim)) ",
    becomes: "",
    worlds: { ...SPLIT, splitRestarts: true },
    seeds: [2],
    breaks: ["healed"],
  },
  {
    fault: "what comes to light after the first reading counts as found by a daemon that started anew",
    file: "replica-ownership.ts",
    text: "    this.reigning.kernelRead();\n",
    becomes: "",
    worlds: { ...SPLIT, splitRestarts: true },
    seeds: [11],
    breaks: ["healed"],
  },
];
