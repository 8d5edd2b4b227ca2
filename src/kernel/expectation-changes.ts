/**
 * Deletes expectations, or sets the timers of those that stand, many by one `sendto`. ENOENT: there is none of that tuple.
 * The kernel finds an expectation by the tuple that is expected alone, whoever its master is; one that was deleted raises an
 * event of our port id, a timer none.
 */
import type { Expectation } from "../flow/expectation.ts";
import { type Result, succeed } from "../result.ts";
import { addressFamilyOfExpectation, encodeTimer } from "./encode-expectation.ts";
import { EXP_DELETE, EXP_NEW } from "./expectation-attributes.ts";
import type { KernelError } from "./kernel-error.ts";
import { RequestBatch } from "./request-batch.ts";
import { TaggedRequests } from "./tagged-requests.ts";

export class ExpectationChanges extends TaggedRequests {
  static open(): Result<ExpectationChanges, KernelError> {
    const batch = RequestBatch.open("change expectations of the kernel");
    return batch.ok ? succeed(new ExpectationChanges(batch.value)) : batch;
  }

  delete(expectation: Expectation, tag: number): void {
    this.#request(EXP_DELETE, expectation, tag);
  }

  /** Sets the time that is left; where none is told, it is only asked whether it stands. */
  renew(expectation: Expectation, tag: number): void {
    this.#request(EXP_NEW, expectation, tag);
  }

  #request(type: number, expectation: Expectation, tag: number): void {
    this.beginTagged(tag, type, 0, addressFamilyOfExpectation(expectation));
    encodeTimer(this.batch.writer, expectation);
    this.batch.end();
  }
}
