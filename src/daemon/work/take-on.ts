/**
 * Two nodes were primary, and this one stays it: what the other one let in meanwhile goes into this kernel, and is announced by
 * this node from then on (D-026). Which flows these are the claims say (`replica-ownership.ts`).
 *
 *   asks     a peer that is still there tells all it has: what it let in last, and what has ended there since
 *   commits  the flows that moved there and have not ended here, and the expectations of these
 *   claims   each that the kernel has taken; those of a peer that fell silent stay its own, as it may be alive
 */

import { type Expectation, flowOfTuple } from "../../flow/expectation.ts";
import { Flow } from "../../flow/flow.ts";
import type { TakenOn } from "../../report-roles.ts";
import { refuse, succeed } from "../../result.ts";
import type { Session } from "../../sync/session.ts";
import { monotonicMs } from "../clock.ts";
import { type Job, SLICE_MS, type Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { CommitRun } from "./commit-run.ts";
import { commitExpectations } from "./expectations.ts";
import { request } from "./peers.ts";

/** It waits for that no longer, as connections wait for it too. */
const TOLD_MS = 2_000;
const FEW_FLOWS = 1_000;
const WAIT = { peerWaitMs: 2 } as const;

export function* takeOn(node: Node): Job<TakenOn> {
  const { replica, state, log } = node;
  const word = state.words;
  if (replica.sessions.some((session) => session.peerState(monotonicMs()) === "connected")) {
    yield* tell(replica.sessions);
    const asked = yield* request(node);
    if (!asked.ok) log.warning(`flows of the other primary: ${asked.error.error}; what it told before is taken on`);
  }
  if (state.role !== "master") return refuse({ error: "this node is not primary any more" });
  if (state.words !== word) {
    // A takeover since then, which may be under way, commits all there is; not to wait behind this, flow by flow.
    replica.ownership.wantsTakingOn = true;
    return refuse({ error: "roles have changed meanwhile: once more" });
  }
  const taking = new Taking(node);
  for (;;) {
    const sliceEndMs = monotonicMs() + SLICE_MS;
    let more = true;
    while (more && monotonicMs() < sliceEndMs) more = taking.batch();
    if (!more) break;
    yield 0;
    if (state.role !== "master") break; // The other one is: it has the last word on what it let in.
  }
  const expectations = yield* commitExpectations(replica.expectations.external, node.expectationCommit, (expectation) =>
    taking.took(expectation),
  );
  const { committed, updated, failed, failures, milliseconds } = taking.run.report(expectations);
  const taken = { flows: committed + updated, failed, failures, milliseconds };
  state.takenOn = { ...taken, atMs: monotonicMs() };
  node.flight.note("taken-on", "", { a: taken.flows, c: failed, d: milliseconds });
  for (const { errno, reason, count } of failures) node.flight.note("refused", `${errno}: ${reason}`, { a: count });
  return failed === 0 ? succeed(taken) : refuse({ error: `${failed} flows could not be taken on`, value: taken });
}

/** What this node claims, it says first: a peer that has not heard it would send all of that in answer, and be told once more. */
function* tell(sessions: readonly Session[]): Generator<Slice, void, void> {
  const endMs = monotonicMs() + TOLD_MS;
  const waits = ({ bulkDone, queued }: Session): boolean => !bulkDone || queued > FEW_FLOWS;
  while (monotonicMs() < endMs && sessions.some(waits)) yield WAIT;
}

class Taking {
  readonly run: CommitRun;
  readonly #node: Node;
  /** Slots of the external cache that the present batch commits. */
  readonly #slots: number[] = [];
  /** Slots of the internal cache whose flows were taken on. */
  readonly #taken = new Set<number>();
  readonly #flow = new Flow();

  constructor(node: Node) {
    this.#node = node;
    const { ownership } = node.replica;
    this.run = new CommitRun(node, (slot, flow) => {
      const takes = ownership.isToTakeOn(slot, flow);
      if (!takes) return false;
      this.#slots.push(slot);
      ownership.puts(slot);
      return true;
    });
  }

  /** False when none is left. */
  batch(): boolean {
    const more = this.run.batch();
    this.#claim();
    return more;
  }

  /** Whether the expectation's master was. */
  took(expectation: Expectation): boolean {
    flowOfTuple(expectation.master, this.#flow);
    return this.#taken.has(this.#node.replica.internal.find(this.#flow));
  }

  /** What the kernel has now of the batch, by asking for each: what it refused is not ours. */
  #claim(): void {
    const { lookup, replica } = this.#node;
    const { external, sessions } = replica;
    const nowMs = monotonicMs();
    while (this.#slots.length > 0) {
      const asked: number[] = [];
      for (; this.#slots.length > 0 && lookup.hasRoom(); ) {
        const slot = this.#slots.pop() as number;
        if (sessions[external.peerOf(slot)].peerState(nowMs) !== "connected") continue;
        external.read(slot, this.#flow, nowMs);
        lookup.add(this.#flow);
        asked.push(slot);
      }
      if (lookup.ask() < 0) {
        this.#slots.length = 0; // The peer goes on announcing them. In the next batch others may lie there.
        return;
      }
      for (const [i, slot] of asked.entries()) this.#ours(slot, lookup.found(i), nowMs);
    }
  }

  #ours(known: number, entry: Flow | undefined, nowMs: number): void {
    if (entry === undefined) return;
    const { replica } = this.#node;
    const became = replica.kernelEntry(entry, nowMs, true);
    if (became === "full" || became === "ignored") return;
    const slot = replica.internal.find(entry);
    replica.ownership.takenOn(known, slot);
    this.#taken.add(slot);
  }
}
