/**
 * The audit: for as long as the daemon runs, the kernel's table is compared with the internal cache, over and over, as
 * work that can wait. It finds what no event tells: flows that are older than any listener and raise none
 * (net.netfilter.nf_conntrack_events=2), timers that packets started again, and whatever else went astray.
 *
 * It takes AUDIT_SHARE of a core at most, however large the table: a pass over a million flows takes some minutes then.
 */
import { hasDrifted } from "../../cache/timer-drift.ts";
import type { Flow } from "../../flow/flow.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Audit, Node } from "../node.ts";
import { compareKernel, type Findings, SUPERSEDED } from "./compare.ts";
import { paced } from "./paced.ts";

/** Of one core, while a pass runs. */
const AUDIT_SHARE = 0.02;
/** How soon it is looked whether a pass that is due can begin. */
const HINDERED_MS = 1_000;

export const newAudit = (): Audit => ({
  counters: { passes: 0, abandoned: 0, missing: 0, changed: 0, dead: 0, timers: 0 },
  last: null,
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
  const { missing, changed, dead, timers } = mending.count;
  audit.counters.missing += missing;
  audit.counters.changed += changed;
  audit.counters.dead += dead;
  audit.counters.timers += timers;
  if (missing + changed + dead > 0)
    log.info(
      `audit: of the flows in the kernel ${missing} were missing in the internal cache and ${changed} had changed, ` +
        `${dead} had ended; no event had told`,
    );
  if (!compared.ok) {
    audit.counters.abandoned++;
    if (compared.error !== SUPERSEDED) log.warning(`audit: ${compared.error}`);
    return;
  }
  audit.counters.passes++;
  const atMs = monotonicMs();
  const flows = node.replica.internal.count;
  audit.last = { atMs, milliseconds: Math.round(atMs - startMs), flows, missing, changed, dead, timers };
}

/** Mends what it is told of; the peers hear of it like of any change. */
class Mending implements Findings {
  readonly count = { missing: 0, changed: 0, dead: 0, timers: 0 };
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

  dead(slot: number): void {
    this.#node.replica.ended(slot);
    this.count.dead++;
  }

  timer(slot: number, kernelSeconds: number, cachedSeconds: number, nowMs: number): void {
    // What we shortened ourselves is taken back from the cache, should this node become primary again (D-004).
    if (this.#node.state.timersShortened || !hasDrifted(kernelSeconds, cachedSeconds)) return;
    this.#node.replica.internal.moveTimer(slot, kernelSeconds, nowMs);
    this.count.timers++;
  }
}
