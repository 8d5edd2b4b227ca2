/** One request a flow: what deletion and timer changes have in common. Each flow is named by its original tuple and zone. */
import type { Flow } from "../flow/flow.ts";
import { PROTO } from "../flow/flow.ts";
import { addressFamilyOf, encodeIdentity } from "./encode-tuple.ts";
import { TaggedRequests } from "./tagged-requests.ts";

export class FlowRequests extends TaggedRequests {
  /** Begins the flow's request and names the flow; the caller adds attributes and calls `batch.end()`. */
  protected begin(flow: Flow, tag: number, type: number, flags: number): void {
    this.beginTagged(tag, type, flags, addressFamilyOf(flow.words[PROTO]));
    encodeIdentity(this.batch.writer, flow.words);
  }
}
