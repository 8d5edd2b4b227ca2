/** Faults of the receiving half of a session: the order of what comes, gaps, acknowledgements, serial arithmetic. */
import type { Mutant } from "../mutate.ts";

const RECEIVER = "sync/receiver.ts";

export const RECEIVING: readonly Mutant[] = [
  {
    fault: "an original that comes late is used",
    file: "sync/ftfw.ts",
    text: 'if (arrival === "late") return "late";',
    becomes: "",
    seeds: [1, 2],
    breaks: ["newer-stays", "converges"],
  },
  {
    fault: "a gap is not named to the peer",
    file: RECEIVER,
    text: "this.#queue(FLAG_NACK, next(this.#lastIn), previous(seq));",
    becomes: "",
    seeds: [13, 38],
    breaks: ["converges", "answered"],
  },
  {
    fault: "the first number of a gap is forgotten",
    file: RECEIVER,
    text: "this.#queue(FLAG_NACK, next(this.#lastIn), previous(seq));",
    becomes: "this.#queue(FLAG_NACK, previous(seq), previous(seq));",
    seeds: [203, 238],
    breaks: ["converges", "answered"],
  },
  {
    fault: "what lies in a gap is acknowledged with what lies around it",
    file: RECEIVER,
    text: "      this.#start(seq, nowMs);\n    } else {",
    becomes: "      if (this.#ackStart < 0) this.#start(seq, nowMs);\n    } else {",
    seeds: [1, 11],
    breaks: ["converges", "answered"],
  },
  {
    fault: "a peer that counts from somewhere else is never believed",
    file: RECEIVER,
    text: 'if (this.#lateRun < ASTRAY_MESSAGES || nowMs - this.#acceptedMs < ASTRAY_MS) return "late";',
    becomes: 'if (this.#lateRun >= 0) return "late";',
    seeds: [25, 40],
    breaks: ["converges"],
  },
  {
    fault: "a greeting that comes late begins a new life of the peer",
    file: RECEIVER,
    text: 'const arrival = this.#isKnownGreeting(seq) ? this.#late(nowMs) : "in-order";',
    becomes: 'const arrival = (this.#lateRun < 0 ? this.#late(nowMs) : "in-order") as Arrival;',
    worlds: { nodes: 4, kind: "checked" },
    seeds: [449, 695],
    breaks: ["newer-stays", "converges"],
  },
  {
    fault: "sequence numbers of the peer are compared as plain numbers",
    file: RECEIVER,
    text: 'if (!isBefore(seq, next(this.#lastIn))) return "gap";',
    becomes: 'if (seq > this.#lastIn) return "gap";',
    seeds: [64],
    breaks: ["converges", "newer-stays"],
  },
];
