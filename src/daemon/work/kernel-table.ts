/** What changes many entries of the kernel at once: emptying its table, shortening its timers. Ignored flows are left alone. */
import { Errno } from "../../../ffi/errno.ts";
import { Flow, HAS_LIBERAL, HAS_TIMEOUT, IPPROTO_TCP, TIMEOUT } from "../../flow/flow.ts";
import type { FlushReport, ResetTimersReport, RestoreTimersReport } from "../../report.ts";
import { refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";
import { SliceClock } from "./slice-clock.ts";
import { eachKernelFlow } from "./table.ts";

/** Removes every flow from the kernel that would be synchronised. The peers hear of each by its destroy event. */
export function* flushKernel(node: Node): Job<FlushReport> {
  const tally = new Tally(node.deletes);
  const flow = new Flow();
  const read = yield* eachKernelFlow(flow, "emptying the kernel", () => {
    if (node.filter.ignores(flow.words)) return;
    tally.makeRoom();
    node.deletes.add(flow, 0);
    tally.added++;
  });
  if (!read.ok) return refuse({ error: read.error });
  tally.flush();
  const value = { removed: tally.added - tally.gone - tally.failed };
  return tally.failed === 0 ? succeed(value) : refuse({ error: `${tally.failed} flows could not be removed`, value });
}

/**
 * A node that is backup now: what it still has from its time as primary ends soon, unless it takes over again (D-004). Should it,
 * their packets have gone on without this kernel.
 */
export function* resetTimers(node: Node): Job<ResetTimersReport> {
  const seconds = node.config.sync.purgeTimeoutSeconds;
  const tally = new Tally(node.timers);
  const flow = new Flow();
  const { live } = node.replica;
  const shorten = (nowMs: number): void => {
    if (node.filter.ignores(flow.words) || live?.replaces(flow, nowMs)) return;
    if (!flow.has(HAS_TIMEOUT) || flow.words[TIMEOUT] <= seconds) return;
    if (live?.isPeers(flow)) return; // The peer says how long it lives.
    tally.makeRoom();
    node.timers.addLeft(flow, 0, seconds);
    tally.added++;
  };
  try {
    const read = yield* eachKernelFlow(flow, "shortening timers", shorten);
    if (!read.ok) return refuse({ error: read.error });
  } finally {
    tally.flush(); // Also when it is broken off, which a takeover does.
    if (tally.added > 0) node.state.timersShortened = true;
  }
  const value = { shortened: tally.added - tally.gone - tally.failed, failed: tally.failed, seconds };
  return tally.failed === 0
    ? succeed(value)
    : refuse({ error: `${tally.failed} timers could not be shortened`, value });
}

/** Takes `resetTimers` back: flows get the time that the internal cache, which does not hear of our own changes, has for them. */
export function* restoreTimers(node: Node): Job<RestoreTimersReport> {
  const seconds = node.config.sync.purgeTimeoutSeconds;
  const tally = new Tally(node.timers);
  const flow = new Flow();
  const cached = new Flow();
  const { internal } = node.replica;
  const read = yield* eachKernelFlow(flow, "restoring timers", () => {
    const slot = internal.find(flow);
    if (slot < 0 || !flow.has(HAS_TIMEOUT) || flow.words[TIMEOUT] > seconds) return;
    internal.read(slot, cached, monotonicMs());
    if (cached.words[TIMEOUT] <= flow.words[TIMEOUT]) return;
    tally.makeRoom();
    node.timers.add(flow, 0, cached.words[TIMEOUT]);
    tally.added++;
  });
  if (!read.ok) return refuse({ error: read.error });
  tally.flush();
  node.state.timersShortened = false;
  const value = { restored: tally.added - tally.gone - tally.failed, failed: tally.failed };
  return tally.failed === 0 ? succeed(value) : refuse({ error: `${tally.failed} timers could not be restored`, value });
}

/**
 * Another firewall passes packets of this node's flows, or has: their sequence numbers go on without this kernel, which
 * would call them INVALID from then on. Their windows are checked no more, as those of committed flows are not (D-032).
 */
export function* relaxOwnWindows({ replica, timers }: Node): Job<{ readonly relaxed: number }> {
  const { internal } = replica;
  const tally = new Tally(timers, (slot) => internal.setLiberal(slot, false));
  const flow = new Flow();
  const slice = new SliceClock();
  for (let slot = internal.nextStrict(0); slot >= 0; slot = internal.nextStrict(slot + 1)) {
    internal.read(slot, flow, 0);
    tally.makeRoom();
    timers.addLiberal(flow, slot);
    internal.setLiberal(slot, true);
    tally.added++;
    if (!slice.isOver()) continue;
    tally.flush(); // Another job may use them in between.
    yield 0;
    slice.begin();
  }
  tally.flush();
  const value = { relaxed: tally.added - tally.gone - tally.failed };
  return tally.failed === 0 ? succeed(value) : refuse({ error: `${tally.failed} windows could not be relaxed`, value });
}

/** The same, besides, of flows that stand in this kernel and that a peer took from this primary: they are not its own any more. */
export function* relaxWindows(node: Node): Job<{ readonly relaxed: number }> {
  const own = yield* relaxOwnWindows(node);
  const { yielded } = node.replica.counters.cache;
  if (!own.ok || yielded === node.state.yieldedBefore) return own;
  const tally = new Tally(node.timers);
  const flow = new Flow();
  const read = yield* eachKernelFlow(flow, "relaxing windows", () => {
    if (flow.l4proto !== IPPROTO_TCP || flow.has(HAS_LIBERAL) || node.filter.ignores(flow.words)) return;
    tally.makeRoom();
    node.timers.addLiberal(flow, 0);
    tally.added++;
  });
  tally.flush();
  if (!read.ok) return refuse({ error: read.error });
  if (tally.failed === 0) node.state.yieldedBefore = yielded;
  const value = { relaxed: own.value.relaxed + tally.added - tally.gone - tally.failed };
  return tally.failed === 0 ? succeed(value) : refuse({ error: `${tally.failed} windows could not be relaxed`, value });
}

interface Requests {
  hasRoom(): boolean;
  flush(): number;
  refusedErrno(i: number): number;
  refusedTag(i: number): number;
}

class Tally {
  added = 0;
  /** Flows that had ended by themselves meanwhile. */
  gone = 0;
  failed = 0;
  readonly #requests: Requests;
  readonly #onFailure: (tag: number) => void;

  constructor(requests: Requests, onFailure: (tag: number) => void = () => {}) {
    this.#requests = requests;
    this.#onFailure = onFailure;
  }

  makeRoom(): void {
    if (!this.#requests.hasRoom()) this.flush();
  }

  flush(): void {
    const refused = this.#requests.flush();
    for (let i = 0; i < refused; i++) {
      if (this.#requests.refusedErrno(i) === Errno.ENOENT) this.gone++;
      else {
        this.failed++;
        this.#onFailure(this.#requests.refusedTag(i));
      }
    }
  }
}
