/**
 * Changes the remaining timeouts of flows that stand in the kernel, or how strictly their windows are checked, many by one
 * `sendto`, and nothing else of them.
 *
 * The kernel raises an update event of our port id for each. ENOENT: the flow is gone; EPERM: its timeout is fixed
 * (IPS_FIXED_TIMEOUT). Whether a timer gets shorter is the caller's to see: the kernel sets what it is told.
 */
import { type Flow, IPPROTO_TCP } from "../flow/flow.ts";
import { type Result, succeed } from "../result.ts";
import { CT_NEW, CTA_TIMEOUT } from "./ctnetlink-attributes.ts";
import { encodeHelper, encodeLiberal } from "./encode-conntrack.ts";
import { FlowRequests } from "./flow-requests.ts";
import type { KernelError } from "./kernel-error.ts";
import { RequestBatch } from "./request-batch.ts";

export class KernelTimers extends FlowRequests {
  static open(): Result<KernelTimers, KernelError> {
    const batch = RequestBatch.open("change timers of the kernel's flows");
    return batch.ok ? succeed(new KernelTimers(batch.value)) : batch;
  }

  add(flow: Flow, tag: number, timeoutSeconds: number): void {
    this.begin(flow, tag, CT_NEW, 0);
    this.batch.writer.u32(CTA_TIMEOUT, timeoutSeconds);
    this.batch.end();
  }

  /** Of a flow whose packets go through another firewall from now on: a TCP flow's window is checked no more, besides. */
  addLeft(flow: Flow, tag: number, timeoutSeconds: number): void {
    this.begin(flow, tag, CT_NEW, 0);
    if (flow.l4proto === IPPROTO_TCP) encodeLiberal(this.batch.writer);
    this.batch.writer.u32(CTA_TIMEOUT, timeoutSeconds);
    this.batch.end();
  }

  /** Of a TCP flow whose packets may go another way for a while: its window is checked no more, and its helper takes up where it is then. */
  addLiberal(flow: Flow, tag: number): void {
    this.begin(flow, tag, CT_NEW, 0);
    encodeLiberal(this.batch.writer);
    encodeHelper(this.batch.writer, flow.words);
    this.batch.end();
  }
}
