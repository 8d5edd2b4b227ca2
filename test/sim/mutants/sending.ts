/** Faults of the sending half of a session: its queue, its window, and the ring of what may have to be sent again. */
import type { Mutant } from "../mutate.ts";

const SENDER = "sync/sender.ts";

export const SENDING: readonly Mutant[] = [
  {
    fault: "the window has no bound",
    file: SENDER,
    text: "return this.#inFlight >= this.#inFlightMax || (",
    becomes: "return (",
    seeds: [1, 2],
    breaks: ["window"],
  },
  {
    fault: "the last of what was found is never told",
    file: "sync/later.ts",
    text: "if (waited) return slot;",
    becomes: "if (waited && this.count > 0) return slot;",
    seeds: [3, 8],
    breaks: ["converges"],
  },
  {
    fault: "a flow that waits is queued once more whenever it changes",
    file: SENDER,
    text: "if (this.#place[slot] === QUEUED) return;",
    becomes: "",
    seeds: [2, 4],
    breaks: ["bounded", "converges"],
  },
  {
    fault: "a flow that changes while its message is on its way is not sent again",
    file: SENDER,
    text: "if (this.#place[slot] === QUEUED) return;",
    becomes: "if (this.#place[slot] !== IDLE) return;",
    seeds: [1, 2],
    breaks: ["converges"],
  },
  {
    fault: "what the peer misses is forgotten, not sent again",
    file: SENDER,
    text: "      this.#repeat(element, this.#ring.from, this.#ring.to);\n      if (!isControl(element)) flows++;",
    becomes: "      if (!isControl(element)) flows++;",
    seeds: [1, 2],
    breaks: ["converges", "window"],
  },
  {
    fault: "what the peer passed over without a word is never sent again",
    file: "sync/overdue.ts",
    text: "if (nowMs - this.#oldestSinceMs < OVERDUE_MS) return wasFull ? aged : oldest;",
    becomes: "if (nowMs >= 0) return oldest;",
    seeds: [13, 24],
    breaks: ["converges"],
  },
  {
    fault: "each message that a full ring pushes out makes what the peer passed over young again",
    file: "sync/overdue.ts",
    text: "return wasFull ? aged : oldest;",
    becomes: "return oldest;",
    worlds: { nodes: 2, kind: "checked" },
    seeds: [18_589, 30_921],
    breaks: ["converges"],
  },
  {
    fault: "acknowledgements that do not touch are told as one",
    file: SENDER,
    text: "if (isBefore(next(waitingTo), from) || isBefore(next(to), waitingFrom)) continue;",
    becomes: "",
    seeds: [1, 7],
    breaks: ["converges", "answered"],
  },
  {
    fault: "the last number of an acknowledgement is not believed",
    file: SENDER,
    text: "const last = this.#last(to);\n    for (let seq = this.#first(from); !isBefore(last, seq); seq = next(seq)) {\n      const element = this.#take(seq);\n      if (element === NOTHING) continue;\n      if (isControl(element)) this.#answered",
    becomes:
      "const last = this.#last(to);\n    for (let seq = this.#first(from); isBefore(seq, last); seq = next(seq)) {\n      const element = this.#take(seq);\n      if (element === NOTHING) continue;\n      if (isControl(element)) this.#answered",
    seeds: [1, 2],
    breaks: ["converges"],
  },
  {
    fault: "the ring hands out what lies there for another number",
    file: "sync/resend-ring.ts",
    text: "    this.#elements[at] = NOTHING;\n",
    becomes: "",
    seeds: [1, 2],
    breaks: ["converges", "bounded"],
  },
  {
    fault: "what is pushed out of the ring is forgotten",
    file: SENDER,
    text: "if (!isControl(element)) this.#repeat(element, 0, 0);\n    else if",
    becomes: "if",
    seeds: [5, 7],
    breaks: ["converges", "window"],
  },
];
