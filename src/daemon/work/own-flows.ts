/**
 * Flows of this machine's own addresses that were taken in before the daemon heard of the address leave the internal cache,
 * and the peers hear that they ended.
 *
 * The kernel tells of an IPv6 address some milliseconds after it serves it, on a busy machine 20 and more, and flows may be
 * there by then; those of an address that moved here are older still.
 */
import type { AddressFilter } from "../../filter/address-filter.ts";
import { Flow } from "../../flow/flow.ts";
import type { Replica } from "../../replica.ts";
import { succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { type Job, type Jobs, SLICE_MS, type Slice } from "../jobs.ts";
import type { Log } from "../log.ts";
import { paced } from "./paced.ts";

/** Of one core: what is to be taken back does no harm for a second. */
const SHARE = 0.1;
/** The clock is looked at once in this many flows. */
const FLOWS_PER_LOOK = 256;

interface Parts {
  readonly replica: Replica;
  readonly filter: AddressFilter;
  readonly jobs: Pick<Jobs, "addIdle">;
  readonly log: Pick<Log, "info">;
}

export class OwnFlows {
  readonly #parts: Parts;
  readonly #flow = new Flow();
  #isWanted = false;
  #isWorking = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The filter ignores an address that it did not ignore before. */
  addressCame(): void {
    this.#isWanted = true;
    if (this.#isWorking) return;
    this.#isWorking = true;
    const { jobs, log } = this.#parts;
    void jobs.addIdle(this.#takeBack()).then((result) => {
      this.#isWorking = false;
      if (result.ok && result.value > 0) log.info(`flows of this machine's own addresses, taken back: ${result.value}`);
      if (this.#isWanted) this.addressCame();
    });
  }

  *#takeBack(): Job<number> {
    let taken = 0;
    while (this.#isWanted) {
      this.#isWanted = false;
      taken += yield* paced(this.#lookAtAll(), SHARE);
    }
    return succeed(taken);
  }

  *#lookAtAll(): Generator<Slice, number, void> {
    const { replica, filter } = this.#parts;
    const { internal } = replica;
    let taken = 0;
    let looked = 0;
    let sliceEndMs = monotonicMs() + SLICE_MS;
    for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
      internal.read(slot, this.#flow, sliceEndMs);
      if (filter.ignores(this.#flow.words)) {
        replica.ended(slot, monotonicMs());
        taken++;
      }
      if (++looked % FLOWS_PER_LOOK !== 0 || monotonicMs() < sliceEndMs) continue;
      yield 0;
      sliceEndMs = monotonicMs() + SLICE_MS;
    }
    return taken;
  }
}
