/** What changes many entries of the kernel at once: emptying its table, shortening its timers. Ignored flows are left alone. */
import { Errno } from "../../../ffi/errno.ts";
import { Flow, HAS_TIMEOUT, IPPROTO_TCP, TIMEOUT } from "../../flow/flow.ts";
import type { FlushReport, ResetTimersReport, RestoreTimersReport } from "../../report.ts";
import { refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";
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
  const read = yield* eachKernelFlow(flow, "shortening timers", (nowMs) => {
    if (node.filter.ignores(flow.words) || live?.replaces(flow, nowMs)) return;
    if (!flow.has(HAS_TIMEOUT) || flow.words[TIMEOUT] <= seconds) return;
    if (live?.isPeers(flow)) return; // The peer says how long it lives.
    tally.makeRoom();
    node.timers.addLeft(flow, 0, seconds);
    tally.added++;
  });
  if (!read.ok) return refuse({ error: read.error });
  tally.flush();
  if (tally.added > 0) node.state.timersShortened = true;
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
 * Another firewall may have passed packets of the flows that stand here: their sequence numbers went on without this
 * kernel, which would call them INVALID from now on. Their windows are checked no more, as those of committed flows.
 */
export function* relaxWindows(node: Node): Job<{ readonly relaxed: number }> {
  const tally = new Tally(node.timers);
  const flow = new Flow();
  const read = yield* eachKernelFlow(flow, "relaxing windows", () => {
    if (flow.l4proto !== IPPROTO_TCP || node.filter.ignores(flow.words)) return;
    tally.makeRoom();
    node.timers.addLiberal(flow, 0);
    tally.added++;
  });
  if (!read.ok) return refuse({ error: read.error });
  tally.flush();
  const value = { relaxed: tally.added - tally.gone - tally.failed };
  return tally.failed === 0 ? succeed(value) : refuse({ error: `${tally.failed} windows could not be relaxed`, value });
}

interface Requests {
  hasRoom(): boolean;
  flush(): number;
  refusedErrno(i: number): number;
}

class Tally {
  added = 0;
  /** Flows that had ended by themselves meanwhile. */
  gone = 0;
  failed = 0;
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  makeRoom(): void {
    if (!this.#requests.hasRoom()) this.flush();
  }

  flush(): void {
    const refused = this.#requests.flush();
    for (let i = 0; i < refused; i++) {
      if (this.#requests.refusedErrno(i) === Errno.ENOENT) this.gone++;
      else this.failed++;
    }
  }
}
