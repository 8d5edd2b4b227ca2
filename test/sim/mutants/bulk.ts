/** Faults of bulks: what is sent of them, when they are acknowledged, and what becomes of the flows they do not name. */
import type { Mutant } from "../mutate.ts";

export const BULK: readonly Mutant[] = [
  {
    fault: "a bulk leaves out every other flow",
    file: "sync/bulk.ts",
    text: "this.#cursor = slot + 1;",
    becomes: "this.#cursor = slot + 2;",
    seeds: [1, 2],
    breaks: ["converges", "answered"],
  },
  {
    fault: "a bulk that is asked for while one runs does not begin again",
    file: "sync/bulk.ts",
    text: '    this.#phase = "sending";\n    this.#cursor = 0;',
    becomes: '    if (this.#phase !== "sending") this.#cursor = 0;\n    this.#phase = "sending";',
    seeds: [484, 605],
    breaks: ["converges", "answered"],
  },
  {
    fault: "a question is acknowledged before its answer is sent",
    file: "sync/ftfw.ts",
    text: "return this.#held.hold(seq, this.#sender.data.end, forBulk) || this.extended;",
    becomes: "return seq < 0 && forBulk;",
    seeds: [1, 15],
    breaks: ["answered", "converges"],
  },
  {
    fault: "an acknowledgement that was held waits for the queue, not for the bulk",
    file: "sync/held-acks.ts",
    text: "(this.#forBulk[i] && bulkRunning) || ",
    becomes: "",
    seeds: [16, 23],
    breaks: ["answered"],
  },
  {
    fault: "what a peer no longer names stays for ever",
    file: "cache/stale-entries.ts",
    text: "this.#dueMs = nowMs + this.#keepMs;",
    becomes: "this.#dueMs = NEVER;",
    seeds: [26, 30],
    breaks: ["converges"],
  },
  {
    fault: "what a peer named is withdrawn with what it did not name",
    file: "cache/external.ts",
    text: "this.#roundOf[slot] !== this.#rounds[peer] && ",
    becomes: "",
    seeds: [1, 2],
    breaks: ["converges"],
  },
];
