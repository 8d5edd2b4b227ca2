/** Faults of how two nodes meet: greetings, and new lives of either. */
import type { Mutant } from "../mutate.ts";

const FTFW = "sync/ftfw.ts";

export const HANDSHAKE: readonly Mutant[] = [
  {
    fault: "a peer that greets again gets no bulk",
    file: FTFW,
    text: "    this.#held.clear();\n    this.#sender.bulk.begin();",
    becomes: "    this.#held.clear();",
    worlds: { kind: "checked", settings: { asksAtStart: false } },
    seeds: [13, 43],
    breaks: ["converges", "answered"],
  },
  {
    fault: "a peer that greets again is not asked what it has",
    file: FTFW,
    text: "    this.#sender.bulk.begin();\n    this.request();",
    becomes: "    this.#sender.bulk.begin();",
    seeds: [23, 31],
    breaks: ["converges"],
  },
  {
    fault: "a peer that lives anew before it has answered our greeting is not asked for what it has now",
    file: FTFW,
    text: "    if (!this.#peerGreets) this.#newLife(true);",
    becomes: '    if (!this.#peerGreets && this.#hello === "done") this.#newLife(true);',
    worlds: { nodes: 2, kind: "checked" },
    seeds: [16896],
    breaks: ["converges"],
  },
  {
    fault: "a session that is established stays so, whatever life the peer begins",
    file: "sync/handshake.ts",
    text: "if (this.#established && equal(hello.session, this.peerSession)) {",
    becomes: "if (this.#established) {",
    worlds: { kind: "sealed" },
    seeds: [1],
    breaks: ["converges"],
  },
];
