/**
 * Commit of expectations, after the flows: their masters must stand.
 *
 *   if (!commit.hasRoom()) commit.flush();
 *   commit.add(expectation, tag);
 *   refused = commit.flush();                   commit.refusedTag(i), commit.refusedErrno(i) for i < refused
 *
 * One that stands already keeps standing. The kernel starts a new one with its helper's own timeout, so each is asked for
 * twice: to be there, then to have the time that it has left.
 */
import { Errno } from "../../ffi/errno.ts";
import type { Expectation } from "../flow/expectation.ts";
import { type Result, succeed } from "../result.ts";
import { addressFamilyOfExpectation, encodeNewExpectation, encodeTimer } from "./encode-expectation.ts";
import { EXP_NEW } from "./expectation-attributes.ts";
import type { KernelError } from "./kernel-error.ts";
import { NLM_F_CREATE } from "./netlink.ts";
import { RequestBatch } from "./request-batch.ts";

interface Asked {
  readonly expectation: Expectation;
  readonly tag: number;
}

export class ExpectationCommit {
  /** Expectations the kernel took, and refused, since the start. */
  committed = 0;
  refused = 0;
  readonly #batch: RequestBatch;
  #asked: Asked[] = [];
  #refusals: { readonly tag: number; readonly errno: number }[] = [];

  static open(): Result<ExpectationCommit, KernelError> {
    const batch = RequestBatch.open("commit expectations to the kernel");
    return batch.ok ? succeed(new ExpectationCommit(batch.value)) : batch;
  }

  private constructor(batch: RequestBatch) {
    this.#batch = batch;
  }

  /** Events of this port id are what we told the kernel. */
  get portId(): number {
    return this.#batch.portId;
  }

  hasRoom(): boolean {
    return this.#batch.hasRoom();
  }

  add(expectation: Expectation, tag: number): void {
    if (!this.hasRoom()) throw new Error("add without room: flush first");
    this.#asked.push({ expectation, tag });
    this.#create(expectation);
  }

  /** Sends what was added and sees it through; how many the kernel refused. */
  flush(): number {
    this.#refusals = [];
    let taken = this.#send(this.#asked);
    const again = this.#refusals.filter(({ errno }) => errno === Errno.EAGAIN).map(({ tag }) => tag);
    if (again.length > 0) {
      // The kernel has just loaded the helper's module.
      const retried = this.#asked.filter(({ tag }) => again.includes(tag));
      this.#refusals = this.#refusals.filter(({ errno }) => errno !== Errno.EAGAIN);
      for (const { expectation } of retried) this.#create(expectation);
      taken = [...taken, ...this.#send(retried)];
    }
    this.refused += this.#refusals.length;
    this.committed += taken.length;
    for (const { expectation } of taken) {
      if (expectation.timeoutSeconds === undefined) continue;
      this.#batch.begin(EXP_NEW, 0, addressFamilyOfExpectation(expectation));
      encodeTimer(this.#batch.writer, expectation);
      this.#batch.end();
    }
    this.#batch.send(); // One that was used up meanwhile is gone, and no refusal.
    this.#batch.clear();
    this.#asked = [];
    return this.#refusals.length;
  }

  /** Of refusal i of the last flush: the tag it was added with, and the kernel's errno, positive. */
  refusedTag(i: number): number {
    return this.#refusals[i].tag;
  }

  refusedErrno(i: number): number {
    return this.#refusals[i].errno;
  }

  close(): void {
    this.#batch.close();
  }

  #create(expectation: Expectation): void {
    this.#batch.begin(EXP_NEW, NLM_F_CREATE, addressFamilyOfExpectation(expectation));
    encodeNewExpectation(this.#batch.writer, expectation);
    this.#batch.end();
  }

  /** Sends the requests of `asked`, notes the refusals, and answers those that were taken. */
  #send(asked: readonly Asked[]): Asked[] {
    const failure = this.#batch.send();
    const taken: Asked[] = [];
    for (const [i, one] of asked.entries()) {
      const errno = failure < 0 ? -failure : this.#batch.errno(i);
      if (errno === 0) taken.push(one);
      else this.#refusals.push({ tag: one.tag, errno });
    }
    this.#batch.clear();
    return taken;
  }
}
