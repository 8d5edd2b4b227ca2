/** Faults of whose a flow is that two nodes have. */
import type { Mutant } from "../mutate.ts";

/** Two rules that make up for each other. */
const WHOSE_BY_DUMP = `    if (this.#theirs[known] < this.#least) return false; // It only stands there, or has not moved there since we are primary.
    const own = internal.find(flow);
    if (own >= 0 && internal.lifeOf(own) !== DEAD) return false;
    return !this.#hasMoved(known, flow);`;

export const OWNERSHIP: readonly Mutant[] = [
  {
    fault: "a newer claim does not take a flow away",
    file: "replica-ownership.ts",
    text: "if (claim < this.#ours[slot] || ",
    becomes: "if (claim > 0 || ",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [6, 19],
    breaks: ["converges", "proven", "bounded"],
  },
  {
    fault: "a takeover claims no more than the former primary",
    file: "sync/reign.ts",
    text: "    this.number = reignOf(kept.known) + 1;\n",
    becomes: "",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [175],
    breaks: ["converges", "proven", "healed"],
  },
  {
    fault: "a primary that hears of a reign it did not know of lets it be",
    file: "replica-ownership.ts",
    text: "const isNews = reign > 0 && reign >= this.reigning.number;",
    becomes: "const isNews = reign < 0;",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [820, 173],
    breaks: ["converges", "proven"],
  },
  {
    fault: "what a backup only holds keeps a flow from the primary, whatever a dump shows",
    file: "replica-ownership.ts",
    text: WHOSE_BY_DUMP,
    becomes: WHOSE_BY_DUMP.replace("this.#theirs[known] < this.#least", "known < 0").replace(
      "!this.#hasMoved(known, flow)",
      "true",
    ),
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [70],
    breaks: ["converges", "proven"],
  },
  {
    fault: "nobody announces a flow that the peer lets go while it stands in our kernel",
    file: "replica-ownership.ts",
    text: "return; // It leaves our kernel too.\n    this.wantsReading = true;\n",
    becomes: "return;\n",
    worlds: { nodes: 2, kind: "sealed", settings: { isExtended: true } },
    seeds: [5, 55],
    breaks: ["converges"],
  },
  {
    fault: "a flow that began while events were lost is as weak as one that only stands there",
    file: "replica-standing.ts",
    text: "    if (seen === 0) return this.#isKnown;",
    becomes: "    if (seen === 0) return false;",
    worlds: { nodes: 2, kind: "sealed", settings: { isExtended: true } },
    seeds: [618, 776],
    breaks: ["converges"],
  },
  {
    fault: "what stood in our kernel when the peer let it go counts as begun here since",
    file: "replica-ownership.ts",
    text: "    this.#standing.forget();\n    const { live }",
    becomes: "    const { live }",
    worlds: { nodes: 2, kind: "sealed", settings: { isExtended: true } },
    seeds: [10, 20],
    breaks: ["converges"],
  },
  {
    fault: "a primary that was restarted lets a backup keep what it took from it",
    file: "replica-ownership.ts",
    text: "    if (this.#ours[slot] === UNSAID && claim >= FIRST) this.#isBeaten = true;\n",
    becomes: "",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [2_846],
    breaks: ["converges"],
  },
  {
    fault: "what moved at a primary that was restarted is a backup's whose claim is from before they met",
    file: "replica-ownership.ts",
    text: "    return this.#isUnsaid && this.#contact.isBefore(claim);\n",
    becomes: "    return false;\n",
    worlds: { nodes: 2, kind: "sealed", settings: { isExtended: true } },
    seeds: [952],
    breaks: ["converges"],
  },
];
