/**
 * TCP flows that begin while this node hands over: their windows are not checked, as those of the flows that stood
 * before are not (`relaxWindows`, D-028). One request for each, sent with the portion of events that told of it.
 */
import { Errno } from "../../ffi/errno.ts";
import type { AddressFilter } from "../filter/address-filter.ts";
import { type Flow, IPPROTO_TCP } from "../flow/flow.ts";
import type { KernelTimers } from "../kernel/timers.ts";

type Requests = Pick<KernelTimers, "addLiberal" | "flush" | "hasRoom" | "refusedErrno">;

export class NewWindows {
  /** This node hands over. */
  relaxes = false;
  /** Flows whose windows the kernel goes on checking. */
  refused = 0;
  readonly #requests: Requests;
  readonly #filter: Pick<AddressFilter, "ignores">;
  #waiting = 0;

  /** `requests` are nobody else's. */
  constructor(requests: Requests, filter: Pick<AddressFilter, "ignores">) {
    this.#requests = requests;
    this.#filter = filter;
  }

  begun(flow: Flow): void {
    if (flow.l4proto !== IPPROTO_TCP || this.#filter.ignores(flow.words)) return;
    if (!this.#requests.hasRoom()) this.flush();
    this.#requests.addLiberal(flow, 0);
    this.#waiting++;
  }

  flush(): void {
    if (this.#waiting === 0) return;
    this.#waiting = 0;
    const refused = this.#requests.flush();
    // A flow that has ended by now needs nothing.
    for (let i = 0; i < refused; i++) if (this.#requests.refusedErrno(i) !== Errno.ENOENT) this.refused++;
  }
}
