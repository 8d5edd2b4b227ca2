/**
 * One request a flow, many a batch: what deletion and timer changes have in common.
 *
 * Each flow is named to the kernel by its original tuple and zone. Only refusals are reported, with the caller's tag.
 */
import type { Flow } from "../flow/flow.ts";
import { PROTO } from "../flow/flow.ts";
import { addressFamilyOf, encodeIdentity } from "./encode-tuple.ts";
import { REQUESTS_MAX, type RequestBatch } from "./request-batch.ts";

export class FlowRequests {
  protected readonly batch: RequestBatch;
  readonly #tags = new Float64Array(REQUESTS_MAX);
  readonly #refusedTags = new Float64Array(REQUESTS_MAX);
  readonly #refusedErrnos = new Int32Array(REQUESTS_MAX);

  constructor(batch: RequestBatch) {
    this.batch = batch;
  }

  /** Events of this port id are what these requests caused. */
  get portId(): number {
    return this.batch.portId;
  }

  /** Whether one more flow fits before the next `flush`. */
  hasRoom(): boolean {
    return this.batch.hasRoom();
  }

  /** Sends what was added; how many requests the kernel refused. */
  flush(): number {
    const count = this.batch.count;
    const failure = this.batch.send();
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const errno = failure < 0 ? -failure : this.batch.errno(i);
      if (errno === 0) continue;
      this.#refusedTags[refused] = this.#tags[i];
      this.#refusedErrnos[refused++] = errno;
    }
    this.batch.clear();
    return refused;
  }

  /** Of refusal i of the last flush: the tag its flow was added with. */
  refusedTag(i: number): number {
    return this.#refusedTags[i];
  }

  /** Of refusal i of the last flush: the kernel's errno, positive. */
  refusedErrno(i: number): number {
    return this.#refusedErrnos[i];
  }

  close(): void {
    this.batch.close();
  }

  /** Begins the flow's request and names the flow; the caller adds attributes and calls `batch.end()`. */
  protected begin(flow: Flow, tag: number, type: number, flags: number): void {
    if (!this.hasRoom()) throw new Error("add without room: flush first");
    this.#tags[this.batch.count] = tag;
    this.batch.begin(type, flags, addressFamilyOf(flow.words[PROTO]));
    encodeIdentity(this.batch.writer, flow.words);
  }
}
