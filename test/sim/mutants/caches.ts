/** Faults of the caches, and of what events and rereads of the kernel's table make of them. */
import type { Mutant } from "../mutate.ts";

const INTERNAL = "cache/internal.ts";

export const CACHES: readonly Mutant[] = [
  {
    fault: "a new flow is laid over the dead one of its tuple, at the peer",
    file: "cache/external.ts",
    text: "    completeReply(flow.words);\n    const slot = this.#table.place(flow.words);",
    becomes:
      "    if (this.#table.find(flow.words) >= 0) return this.update(flow, nowMs, peer);\n    completeReply(flow.words);\n    const slot = this.#table.place(flow.words);",
    seeds: [2, 3],
    breaks: ["converges"],
  },
  {
    fault: "a flow is told as an update once it changed, whether or not the peer knows it",
    file: INTERNAL,
    text: "    if ((flow.words[HAS] & HAS_TIMEOUT) !== 0) this.#updatedSeconds",
    becomes:
      "    else if (this.changed) this.#life[slot] = ALIVE;\n    if ((flow.words[HAS] & HAS_TIMEOUT) !== 0) this.#updatedSeconds",
    seeds: [3, 8],
    breaks: ["converges"],
  },
  {
    fault: "the end of a flow is not told",
    file: "replica.ts",
    text: "    this.internal.kill(slot);\n    this.#changed(slot);",
    becomes: "    this.internal.kill(slot);",
    seeds: [1, 2],
    breaks: ["converges"],
  },
  {
    fault: "an ended flow is forgotten once one of several peers knows",
    file: INTERNAL,
    text: "    this.#holders[slot] &= ~peer;\n",
    becomes: "    this.#holders[slot] = 0;\n",
    seeds: [1, 11],
    breaks: ["converges", "newer-stays"],
  },
  {
    fault: "a flow that lost its labels, helper or translation is told as an update",
    file: INTERNAL,
    text: "if (this.changed && hasLost(this.#before, known.words)) {",
    becomes: "if (this.changed && nowMs < 0) {",
    seeds: [2, 3],
    breaks: ["converges"],
  },
  {
    fault: "an entry of a dump is laid over a dead flow of its tuple",
    file: INTERNAL,
    text: "if (isWhole) leaveUnnamed(known.words, flow.words[HAS]);",
    becomes: "",
    seeds: [3, 13],
    breaks: ["converges"],
  },
  {
    fault: "a reread takes what an earlier one saw for seen",
    file: INTERNAL,
    text: "  beginPass(): void {",
    becomes: "  beginPass(): void {\n    if (this.#pass > 0) return;",
    seeds: [3, 13],
    breaks: ["converges"],
  },
  {
    fault: "what a reread finds changed is not told",
    file: "replica.ts",
    text: "    if (!this.internal.isHeld(slot)) for (const session of this.sessions) session.found(slot);\n",
    becomes: "",
    seeds: [8, 14],
    breaks: ["converges"],
  },
  {
    fault: "a flow that is removed hides those behind it in the index",
    file: "cache/slot-index.ts",
    text: "if (((place - home) & this.#mask) < ((place - gap) & this.#mask)) continue;",
    becomes: "continue;",
    seeds: [2, 3],
    breaks: ["converges"],
  },
  {
    fault: "what a peer tells is announced as our own",
    file: "replica.ts",
    text: "    this.counters.wire.flowsReceived++;\n",
    becomes:
      "    this.counters.wire.flowsReceived++;\n    if (type === CT_NEW) this.kernelEvent(EVENT_NEW, this.#received, nowMs);\n",
    seeds: [1, 2],
    breaks: ["no-echo", "newer-stays"],
  },
  {
    fault: "a rare record is not given back",
    file: "cache/flow-table.ts",
    text: "if (table[at + AT_RARE] !== 0) this.#rare.give(table[at + AT_RARE] - 1);",
    becomes: "",
    seeds: [2, 3],
    breaks: ["converges", "newer-stays"],
  },
  {
    fault: "an entry of a dump counts as made when it was received",
    file: "cache/recent-events.ts",
    text: "    this.#made = this.#nextMade;\n    this.#nextMade",
    becomes: "    this.#made = this.#events.now;\n    this.#nextMade",
    seeds: [18, 162],
    breaks: ["converges", "newer-stays"],
  },
  {
    fault: "an entry of a dump is laid over what a newer event said",
    file: "replica.ts",
    text: "    this.recentEvents.note(flow.words);\n",
    becomes: "",
    seeds: [18, 21],
    breaks: ["converges", "newer-stays"],
  },
];
