/** Whoever is told that it has all it asked a peer for, has it: what that peer had when it was asked, and has still. */
import { Flow } from "../../src/flow/flow.ts";
import type { Replica } from "../../src/replica.ts";
import { describeFlow, VERSION } from "./digest.ts";
import type { Versions } from "./kernel.ts";
import type { Node } from "./node.ts";
import { Violation } from "./violation.ts";

interface Question {
  /** The newest state of any flow when it was asked. */
  readonly version: number;
  readonly askedMs: number;
  /** Life of the peer that was asked. */
  readonly life: number;
  /** Flows that had found no room by then. */
  readonly full: number;
}

export class Answers {
  readonly #versions: Versions;
  readonly #flow = new Flow();
  readonly #known = new Flow();
  readonly #asked: number[] = [];
  readonly #answered: number[] = [];
  readonly #questions: Question[] = [];

  constructor(versions: Versions) {
    this.#versions = versions;
  }

  look(node: Node, replica: Replica, nodes: readonly Node[], nowMs: number): void {
    for (let peer = 0; peer < replica.sessions.length; peer++) {
      const { requests, requestsAnswered } = replica.sessions[peer];
      const other = nodes[node.indexOf(peer)];
      const full = replica.counters.cache.externalFull;
      if (requests !== this.#asked[peer]) {
        this.#asked[peer] = requests;
        this.#questions[peer] = { version: this.#versions.last, askedMs: nowMs, life: other.life, full };
      }
      if (requestsAnswered === (this.#answered[peer] ?? 0)) continue;
      this.#answered[peer] = requestsAnswered;
      if (requestsAnswered === requests && full === this.#questions[peer].full)
        this.#verify(node, replica, other, this.#questions[peer]);
    }
  }

  #verify(node: Node, { external }: Replica, peer: Node, { version, askedMs, life }: Question): void {
    // A peer that is reading its kernel tells what it reads as it reads it, and answers with what it has so far.
    if (
      peer.replica === undefined ||
      peer.life !== life ||
      peer.work.readMs >= askedMs ||
      Math.max(node.work.flushedMs, node.damagedMs) >= askedMs
    )
      return;
    const { internal } = peer.replica;
    for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
      internal.read(slot, this.#flow, 0);
      if (this.#flow.words[VERSION] > version) continue;
      const found = external.find(this.#flow);
      if (found >= 0) external.read(found, this.#known, 0);
      if (found >= 0 && this.#known.words[VERSION] >= this.#flow.words[VERSION]) continue;
      throw new Violation(
        "answered",
        `node ${node.index} asked node ${peer.index} at ${askedMs} ms, has its answer, and not ${describeFlow(this.#flow)}`,
      );
    }
  }
}
