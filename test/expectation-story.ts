/** A kernel's expectations, a node that hears of them, and jobs that read them portion by portion: in any order. */
import type { StartDump } from "../src/daemon/work/expectations.ts";
import type { Expectation } from "../src/flow/expectation.ts";
import type { KernelError } from "../src/kernel/kernel-error.ts";
import { type Result, succeed } from "../src/result.ts";
import { makeExpectation } from "./make-expectation.ts";
import { Node } from "./replica-node.ts";

/** Of the data connections that are expected. */
export const PORTS = [1, 2, 3, 4, 5, 6];
const PORTION = 2;

/** The class of the expectation for each port, which tells its lives apart; 0: there is none. */
type Kernel = number[];

/** The kernel makes a portion when it is asked for a dump, and another one whenever one is received. */
class Dump {
  done = false;
  readonly #kernel: Kernel;
  #from = 0;
  #made: readonly Expectation[];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#made = this.#make();
  }

  next(): Result<readonly Expectation[], KernelError> {
    const portion = this.#made;
    this.done = this.#from > PORTS.length;
    this.#made = this.#make();
    return succeed(portion);
  }

  close(): void {}

  #make(): readonly Expectation[] {
    const ports = PORTS.slice(this.#from, this.#from + PORTION);
    this.#from += PORTION;
    return ports.flatMap((port) => (this.#kernel[port] ? [makeExpectation(port, { class: this.#kernel[port] })] : []));
  }
}

export class ExpectationStory {
  readonly kernel: Kernel = [];
  readonly node = new Node(1_000);
  readonly startDump: StartDump = () => succeed(new Dump(this.kernel));
  readonly #waiting: { readonly began: boolean; readonly expectation: Expectation }[] = [];
  readonly #jobs: Generator<unknown, unknown, void>[] = [];
  #lives = 0;
  /** Events that the kernel has raised, and those that were worked off or lost. */
  raised = 0;
  heard = 0;

  begins(port: number): void {
    if (this.kernel[port]) return;
    this.kernel[port] = ++this.#lives;
    this.#raise(true, port);
  }

  ends(port: number): void {
    if (!this.kernel[port]) return;
    this.#raise(false, port);
    this.kernel[port] = 0;
  }

  /** The kernel says nothing of it. */
  silently(what: () => void): void {
    const { raised } = this;
    what();
    this.#waiting.length -= this.raised - raised;
    this.raised = raised;
  }

  /** Events are lost: those that wait. */
  overrun(): void {
    this.heard += this.#waiting.length;
    this.#waiting.length = 0;
  }

  hears(count: number): void {
    const { replica, nowMs } = this.node;
    for (const { began, expectation } of this.#waiting.splice(0, count)) {
      this.heard++;
      replica.expectations.kernelEvent(began, expectation, nowMs);
    }
  }

  job(job: Generator<unknown, unknown, void>): void {
    this.#jobs.push(job);
  }

  /** Slices of the oldest job, or of the newest. */
  reads(slices: number, newest = false): void {
    for (; slices > 0 && this.#jobs.length > 0; slices--) {
      const at = newest ? this.#jobs.length - 1 : 0;
      if (this.#jobs[at]?.next().done) this.#jobs.splice(at, 1);
    }
  }

  /** What the internal cache has. */
  get held(): Kernel {
    const { internal } = this.node.replica.expectations;
    const held = PORTS.map(() => 0);
    for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
      const expectation = internal.read(slot, this.node.nowMs);
      held[expectation.expected.ports - 1] = expectation.class;
    }
    return held;
  }

  get wanted(): Kernel {
    return PORTS.map((port) => this.kernel[port] ?? 0);
  }

  #raise(began: boolean, port: number): void {
    this.raised++;
    this.#waiting.push({ began, expectation: makeExpectation(port, { class: this.kernel[port] }) });
  }
}
