/**
 * Deletes flows from the kernel, many by one `sendto`: add flows while there is room, then `flush`, which answers how
 * many were refused. ENOENT says that the flow was gone already. Each deletion raises an event of our port id.
 */
import type { Flow } from "../flow/flow.ts";
import { type Result, succeed } from "../result.ts";
import { CT_DELETE } from "./ctnetlink-attributes.ts";
import { FlowRequests } from "./flow-requests.ts";
import type { KernelError } from "./kernel-error.ts";
import { RequestBatch } from "./request-batch.ts";

export class KernelDelete extends FlowRequests {
  static open(): Result<KernelDelete, KernelError> {
    const batch = RequestBatch.open("delete flows from the kernel");
    return batch.ok ? succeed(new KernelDelete(batch.value)) : batch;
  }

  add(flow: Flow, tag: number): void {
    this.begin(flow, tag, CT_DELETE, 0);
    this.batch.end();
  }
}
