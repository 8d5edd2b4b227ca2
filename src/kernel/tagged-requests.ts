/** Requests of which only the refusals are reported, with the caller's tag, many a batch: flows' and expectations' alike. */
import { REQUESTS_MAX, type RequestBatch } from "./request-batch.ts";

export class TaggedRequests {
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

  /** Whether one more fits before the next `flush`. */
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

  /** Of refusal i of the last flush: the tag it was added with. */
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

  /** Begins a request; the caller names what it is about, adds attributes, and calls `batch.end()`. */
  protected beginTagged(tag: number, type: number, flags: number, addressFamily: number): void {
    if (!this.hasRoom()) throw new Error("add without room: flush first");
    this.#tags[this.batch.count] = tag;
    this.batch.begin(type, flags, addressFamily);
  }
}
