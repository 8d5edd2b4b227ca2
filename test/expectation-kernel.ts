/** A kernel as ctnetlink has it, of expectations alone: it finds them by the tuple expected, and changes only their timers. */
import { Errno } from "../ffi/errno.ts";
import type { ExpectationParts } from "../src/daemon/apply-expectations.ts";
import { type Expectation, expectationKey } from "../src/flow/expectation.ts";

interface Request {
  readonly tag: number;
  readonly does: () => number;
}

/** Requests that wait for their flush, and the refusals of the last one. */
class Requests {
  readonly portId = 0;
  readonly #room: number;
  #requests: Request[] = [];
  #refused: readonly { readonly tag: number; readonly errno: number }[] = [];

  constructor(room: number) {
    this.#room = room;
  }

  hasRoom = (): boolean => this.#requests.length < this.#room;
  refusedTag = (i: number): number => this.#refused[i].tag;
  refusedErrno = (i: number): number => this.#refused[i].errno;
  flush(): number {
    this.#refused = this.#requests.map(({ tag, does }) => ({ tag, errno: does() })).filter(({ errno }) => errno !== 0);
    this.#requests = [];
    return this.#refused.length;
  }

  protected request(tag: number, does: () => number): void {
    this.#requests.push({ tag, does });
  }
}

const tupleOf = ({ expected }: Expectation): string => JSON.stringify(expected);

export class ExpectationKernel {
  readonly entries = new Map<string, Expectation>();
  /** What it answers to each that is to be made. */
  refuses: (expectation: Expectation) => number = () => 0;
  /** Requests since the start. */
  asked = 0;

  get keys(): string[] {
    return [...this.entries.values()].map(expectationKey).toSorted();
  }

  lose(expectation: Expectation): boolean {
    return this.entries.delete(tupleOf(expectation));
  }

  /** `room`: requests of one batch. */
  parts(room = 3): Omit<ExpectationParts, "expectations"> {
    const kernel = this;
    class Commit extends Requests {
      add(expectation: Expectation, tag: number): void {
        this.request(tag, () => kernel.#make(expectation));
      }
    }
    class Changes extends Requests {
      delete(expectation: Expectation, tag: number): void {
        this.request(tag, () => (kernel.lose(expectation) ? 0 : Errno.ENOENT));
      }
      renew(expectation: Expectation, tag: number): void {
        this.request(tag, () => kernel.#renew(expectation));
      }
    }
    return { commit: new Commit(room), changes: new Changes(room) };
  }

  #make(expectation: Expectation): number {
    this.asked++;
    const errno = this.entries.has(tupleOf(expectation)) ? 0 : this.refuses(expectation);
    if (errno === 0 && this.#renew(expectation) !== 0) this.entries.set(tupleOf(expectation), expectation);
    return errno;
  }

  #renew({ timeoutSeconds, ...named }: Expectation): number {
    const standing = this.entries.get(tupleOf(named));
    if (standing === undefined) return Errno.ENOENT;
    if (timeoutSeconds !== undefined) this.entries.set(tupleOf(named), { ...standing, timeoutSeconds });
    return 0;
  }
}
