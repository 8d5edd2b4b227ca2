/**
 * Asks the kernel for flows by name, many by one `sendto`, and reads what it has of each at this moment.
 *
 *   while (lookup.hasRoom()) lookup.add(flow);
 *   lookup.ask();                     0, or -errno when nothing could be asked
 *   lookup.found(i)                   what the kernel has of the i-th flow added, or undefined: it has none
 *
 * The kernel finds an entry by either of its two tuples, so the answer may be another flow that runs the other way: that
 * one does not count. Nothing in the kernel changes and no event is raised.
 */
import { Errno } from "../../ffi/errno.ts";
import { Flow, KEY_WORDS, PROTO } from "../flow/flow.ts";
import { type Result, succeed } from "../result.ts";
import { DECODED, decodeConntrack } from "./ctnetlink.ts";
import { CT_GET } from "./ctnetlink-attributes.ts";
import { addressFamilyOf, encodeIdentity } from "./encode-tuple.ts";
import type { KernelError } from "./kernel-error.ts";
import { REQUESTS_MAX, RequestBatch } from "./request-batch.ts";

/** The longest entry, an IPv6 flow with master and every extension, takes under 900 bytes. */
const ENTRY_BYTES_MAX = 1_600;

export class KernelLookup {
  /** Flows that the last `ask` was about. */
  asked = 0;
  readonly #batch: RequestBatch;
  readonly #wanted = Array.from({ length: REQUESTS_MAX }, () => new Flow());
  readonly #entries = Array.from({ length: REQUESTS_MAX }, () => new Flow());
  readonly #found = new Uint8Array(REQUESTS_MAX);

  static open(): Result<KernelLookup, KernelError> {
    const batch = RequestBatch.open("look flows up in the kernel", ENTRY_BYTES_MAX);
    return batch.ok ? succeed(new KernelLookup(batch.value)) : batch;
  }

  private constructor(batch: RequestBatch) {
    this.#batch = batch;
    batch.onEntry = (i, view, at, end) => {
      const entry = this.#entries[i];
      if (decodeConntrack(view, at, end, entry.words) === DECODED && sameKey(entry, this.#wanted[i]))
        this.#found[i] = 1;
    };
  }

  hasRoom(): boolean {
    return this.#batch.hasRoom();
  }

  add(flow: Flow): void {
    if (!this.hasRoom()) throw new Error("add without room: ask first");
    const i = this.#batch.count;
    this.#wanted[i].copyFrom(flow);
    this.#found[i] = 0;
    this.#batch.begin(CT_GET, 0, addressFamilyOf(flow.words[PROTO]));
    encodeIdentity(this.#batch.writer, flow.words);
    this.#batch.end();
  }

  /** Asks about all that was added since. Whoever is told -errno knows nothing of any of them. */
  ask(): number {
    this.asked = this.#batch.count;
    const lostBefore = this.#batch.lost;
    const failure = this.#batch.send();
    this.#batch.clear();
    if (failure < 0) return failure;
    return this.#batch.lost === lostBefore ? 0 : -Errno.ENOBUFS;
  }

  /** The i-th flow that was asked for. */
  wanted(i: number): Flow {
    return this.#wanted[i];
  }

  found(i: number): Flow | undefined {
    return this.#found[i] === 0 ? undefined : this.#entries[i];
  }

  close(): void {
    this.#batch.close();
  }
}

function sameKey(a: Flow, b: Flow): boolean {
  for (let i = 0; i < KEY_WORDS; i++) if (a.words[i] !== b.words[i]) return false;
  return true;
}
