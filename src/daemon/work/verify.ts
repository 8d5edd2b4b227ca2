/**
 * Verify: compares kernel, internal cache and the peer's external cache, and changes none of them.
 *
 * While events are lost and read again there is nothing to compare: the repair is waited for, and a comparison during
 * which events were lost is done again.
 */
import { isWrongTimer } from "../../cache/timer-drift.ts";
import { expectationDifferences, type FieldDifference, fieldDifferences } from "../../flow/differences.ts";
import type { Expectation } from "../../flow/expectation.ts";
import { expectationLine } from "../../flow/expectation-text.ts";
import { Flow } from "../../flow/flow.ts";
import { overlay } from "../../flow/merge.ts";
import { flowLine } from "../../flow/text.ts";
import type { ExpectationDifference, FlowDifference, PeerVerdict, VerifyReport } from "../../report-verify.ts";
import { refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { DIRTY } from "../dirty.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { compareKernel } from "./compare.ts";
import type { Findings } from "./findings.ts";

const DIFFERENCES_MAX = 20;
const ATTEMPTS = 3;
/** How long a comparison with the peer may take. */
const PROOF_MS = 10_000;
const WAIT = { peerWaitMs: 5 } as const;

export function* verify(node: Node): Job<VerifyReport> {
  for (let attempt = 1; ; attempt++) {
    while (node.state.suspect || node.state.rereading > 0) yield WAIT;
    const overruns = lost(node);
    const seen = new Differences(node);
    const compared = yield* compareKernel(node, seen);
    if (!compared.ok) return refuse({ error: compared.error });
    if (lost(node) !== overruns && attempt < ATTEMPTS) continue;
    const peers: PeerVerdict[] = [];
    for (let peer = 0; peer < node.links.length; peer++) peers.push(yield* verifyPeer(node, peer));
    const { missing, changed, dead, timers } = seen.count;
    const expected = seen.expectationCount;
    const inSync =
      missing + changed + dead + timers + expected.missing + expected.changed + expected.dead === 0 &&
      peers.every(({ state }) => state === "equal" || state === "unprovable");
    const { internal, expectations } = node.replica;
    return succeed({
      inSync,
      flows: internal.count,
      ...seen.count,
      differences: seen.list,
      expectations: { count: expectations.internal.count, ...expected, differences: seen.expectationList },
      peers,
    });
  }
}

/** Times that the kernel dropped events. */
const lost = ({ events, expectationEvents }: Node): number => events.overruns + (expectationEvents?.overruns ?? 0);

function* verifyPeer(node: Node, peer: number): Generator<Slice, PeerVerdict, void> {
  const { replica, links } = node;
  const address = links[peer].peer;
  const verdict = (state: PeerVerdict["state"]): PeerVerdict => {
    const { flows, expectations, differing, leftovers } = replica.proof(peer);
    const { dirty } = replica.sessions[peer];
    const why = dirty === null ? null : DIRTY[dirty];
    return { address, state, flows, expectations, differing, leftovers, dirty: why };
  };
  const startMs = monotonicMs();
  if (replica.sessions[peer].peerState(startMs) === "silent") return verdict("silent");
  if (!replica.proof(peer).supported) return verdict("unprovable");
  replica.prove(peer);
  while (monotonicMs() - startMs < PROOF_MS) {
    const { equalMs, leftovers } = replica.proof(peer);
    if (equalMs >= startMs) return verdict(leftovers > 0 ? "leftovers" : "equal");
    yield WAIT;
  }
  return verdict("differs");
}

/** Counts all, keeps the first. */
class Differences implements Findings {
  readonly count = { missing: 0, changed: 0, dead: 0, timers: 0 };
  readonly list: FlowDifference[] = [];
  readonly expectationCount = { missing: 0, changed: 0, dead: 0 };
  readonly expectationList: ExpectationDifference[] = [];
  readonly #node: Node;
  readonly #cached = new Flow();
  readonly #known = new Flow();

  constructor(node: Node) {
    this.#node = node;
  }

  missing(kernel: Flow): void {
    this.count.missing++;
    if (this.#hasRoom) this.list.push({ what: "missing", flow: flowLine(kernel, 0), fields: [] });
  }

  changed(kernel: Flow, slot: number, nowMs: number): void {
    this.count.changed++;
    if (!this.#hasRoom) return;
    const { internal } = this.#node.replica;
    internal.read(slot, this.#cached, nowMs);
    this.#known.copyFrom(this.#cached);
    overlay(this.#known.words, kernel.words);
    const fields = fieldDifferences(this.#known, this.#cached, ["timeoutSeconds"]).map(kernelAndCache);
    this.list.push({ what: "changed", flow: flowLine(this.#cached, internal.ageSeconds(slot, nowMs)), fields });
  }

  dead(slot: number, nowMs: number): void {
    this.count.dead++;
    if (this.#hasRoom) this.list.push({ what: "dead", flow: this.#line(slot, nowMs), fields: [] });
  }

  timer(slot: number, kernelSeconds: number, cachedSeconds: number, nowMs: number): void {
    if (this.#node.state.timersShortened || !isWrongTimer(kernelSeconds, cachedSeconds)) return;
    this.count.timers++;
    if (!this.#hasRoom) return;
    const fields = [{ field: "timeoutSeconds", kernel: String(kernelSeconds), cache: String(cachedSeconds) }];
    this.list.push({ what: "timer", flow: this.#line(slot, nowMs), fields });
  }

  missingExpectation(kernel: Expectation): void {
    this.#expectation("missing", expectationLine(kernel, 0));
  }

  changedExpectation(kernel: Expectation, slot: number, nowMs: number): void {
    const { internal } = this.#node.replica.expectations;
    const cached = internal.read(slot, nowMs);
    const fields = expectationDifferences(kernel, cached).map(kernelAndCache);
    this.#expectation("changed", expectationLine(cached, internal.ageSeconds(slot, nowMs)), fields);
  }

  deadExpectation(slot: number, ranOut: boolean, nowMs: number): void {
    const { internal } = this.#node.replica.expectations;
    if (ranOut) return;
    this.#expectation("dead", expectationLine(internal.read(slot, nowMs), internal.ageSeconds(slot, nowMs)));
  }

  expectationTimer(): void {}

  #expectation(
    what: ExpectationDifference["what"],
    expectation: string,
    fields: ExpectationDifference["fields"] = [],
  ): void {
    this.expectationCount[what]++;
    if (this.expectationList.length < DIFFERENCES_MAX) this.expectationList.push({ what, expectation, fields });
  }

  get #hasRoom(): boolean {
    return this.list.length < DIFFERENCES_MAX;
  }

  #line(slot: number, nowMs: number): string {
    const { internal } = this.#node.replica;
    internal.read(slot, this.#cached, nowMs);
    return flowLine(this.#cached, internal.ageSeconds(slot, nowMs));
  }
}

const kernelAndCache = ({ field, left, right }: FieldDifference) => ({ field, kernel: left, cache: right });
