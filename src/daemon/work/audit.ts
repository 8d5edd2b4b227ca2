/**
 * The audit: for as long as the daemon runs, the kernel's table is compared with the internal cache, over and over, as
 * work that can wait. It finds what no event tells: flows that are older than any listener and raise none
 * (net.netfilter.nf_conntrack_events=2), timers that packets started again, and whatever else went astray.
 *
 * It takes AUDIT_SHARE of a core at most, however large the table: a pass over a million flows takes some minutes then.
 */
import { hasDrifted, wasRenewed } from "../../cache/timer-drift.ts";
import type { Expectation } from "../../flow/expectation.ts";
import type { Flow } from "../../flow/flow.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Audit, Node } from "../node.ts";
import { compareKernel } from "./compare.ts";
import { type Findings, SUPERSEDED } from "./findings.ts";
import { paced } from "./paced.ts";

/** Of one core, while a pass runs. */
const AUDIT_SHARE = 0.02;
/** How soon it is looked whether a pass that is due can begin. */
const HINDERED_MS = 1_000;

export const newAudit = (): Audit => ({
  counters: { passes: 0, abandoned: 0, ...newCount() },
  last: null,
});

const newCount = () => ({
  missing: 0,
  changed: 0,
  dead: 0,
  timers: 0,
  expectationsMissing: 0,
  expectationsChanged: 0,
  expectationsDead: 0,
  expectationTimers: 0,
});

/** From one beginning to the next pass `periodMs` lie, or as long as the pass before took. */
export function* audit(node: Node, periodMs: number): Job<never> {
  let dueMs = monotonicMs() + periodMs;
  for (;;) {
    for (let leftMs = dueMs - monotonicMs(); leftMs > 0; leftMs = dueMs - monotonicMs()) yield leftMs;
    if (isHindered(node)) {
      yield HINDERED_MS;
      continue;
    }
    dueMs = monotonicMs() + periodMs;
    yield* auditOnce(node);
  }
}

/** A pass now would only disturb a reread, or find what a reread is about to find. */
const isHindered = ({ state }: Node): boolean => state.suspect || state.rereading > 0;

function* auditOnce(node: Node): Generator<Slice, void, void> {
  const { audit, log } = node;
  const startMs = monotonicMs();
  const mending = new Mending(node);
  const compared = yield* paced(compareKernel(node, mending), AUDIT_SHARE);
  const { count } = mending;
  for (const name of Object.keys(count) as (keyof typeof count)[]) audit.counters[name] += count[name];
  const { missing, changed, dead, timers, expectationsMissing, expectationsChanged, expectationsDead } = count;
  if (missing + changed + dead > 0)
    log.info(
      `audit: of the flows in the kernel ${missing} were missing in the internal cache and ${changed} had changed, ` +
        `${dead} had ended; no event had told`,
    );
  const expectationsMended = expectationsMissing + expectationsChanged + expectationsDead;
  if (expectationsMended > 0)
    log.info(
      `audit: of the expectations in the kernel ${expectationsMissing} were missing in the internal cache and ` +
        `${expectationsChanged} had changed, ${expectationsDead} had ended; no event had told`,
    );
  if (!compared.ok) {
    audit.counters.abandoned++;
    if (compared.error !== SUPERSEDED) log.warning(`audit: ${compared.error}`);
    return;
  }
  audit.counters.passes++;
  const atMs = monotonicMs();
  const { internal, expectations } = node.replica;
  const milliseconds = Math.round(atMs - startMs);
  const mended = { missing, changed, dead, timers, expectationsMended };
  audit.last = { atMs, milliseconds, flows: internal.count, expectations: expectations.internal.count, ...mended };
}

/** Mends what it is told of; the peers hear of it like of any change. */
class Mending implements Findings {
  readonly count = newCount();
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  missing(kernel: Flow, nowMs: number): void {
    if (this.#node.replica.kernelEntry(kernel, nowMs) === "created") this.count.missing++;
  }

  changed(kernel: Flow, _slot: number, nowMs: number): void {
    if (this.#node.replica.kernelEntry(kernel, nowMs) === "updated") this.count.changed++;
  }

  dead(slot: number, nowMs: number): void {
    this.#node.replica.ended(slot, nowMs);
    this.count.dead++;
  }

  timer(slot: number, kernelSeconds: number, cachedSeconds: number, nowMs: number): void {
    // What we shortened ourselves is taken back from the cache, should this node become primary again (D-004).
    if (this.#node.state.timersShortened) return;
    if (wasRenewed(kernelSeconds, cachedSeconds)) this.#node.replica.ownership.renewed(slot);
    if (!hasDrifted(kernelSeconds, cachedSeconds)) return;
    this.#node.replica.internal.moveTimer(slot, kernelSeconds, nowMs);
    this.count.timers++;
  }

  missingExpectation(kernel: Expectation, nowMs: number): void {
    if (this.#node.replica.expectations.kernelEntry(kernel, nowMs)) this.count.expectationsMissing++;
  }

  changedExpectation(kernel: Expectation, _slot: number, nowMs: number): void {
    if (this.#node.replica.expectations.kernelEntry(kernel, nowMs)) this.count.expectationsChanged++;
  }

  deadExpectation(slot: number, ranOut: boolean): void {
    this.#node.replica.expectations.ended(slot);
    if (!ranOut) this.count.expectationsDead++;
  }

  expectationTimer(kernel: Expectation, nowMs: number): void {
    if (this.#node.replica.expectations.moveTimer(kernel, nowMs)) this.count.expectationTimers++;
  }
}
