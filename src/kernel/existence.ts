/**
 * Asks the kernel which of many flows it still holds: since one dump that lacks a flow is no proof that it is dead.
 *
 * Add flows while there is room, then `flush`: it answers how many the kernel does not have (refusedErrno ENOENT), named
 * by their tags. Nothing in the kernel changes and no event is raised.
 */
import type { Flow } from "../flow/flow.ts";
import { type Result, succeed } from "../result.ts";
import { CT_GET } from "./ctnetlink-attributes.ts";
import { FlowRequests } from "./flow-requests.ts";
import type { KernelError } from "./kernel-error.ts";
import { RequestBatch } from "./request-batch.ts";

export class KernelExistence extends FlowRequests {
  static open(): Result<KernelExistence, KernelError> {
    const batch = RequestBatch.open("look flows up in the kernel");
    return batch.ok ? succeed(new KernelExistence(batch.value)) : batch;
  }

  add(flow: Flow, tag: number): void {
    this.begin(flow, tag, CT_GET, 0);
    this.batch.end();
  }
}
