/**
 * The flows that the firewalls carry: a window of numbers that moves on, so that flows begin at its head, end at its tail,
 * and change their mark amid. They are put into the primary's kernel as packets would, behind the daemon's back.
 */
import type { Flow } from "../../src/flow/flow.ts";
import { insert, remove, type Side } from "../netns/daemon-pair.ts";
import { mixedFlows } from "../netns/fault-pair.ts";
import type { Random } from "../sim/random.ts";

/** Longer than a soak: what ends is what we end. */
const TIMEOUT_SECONDS = 20_000;
/** Numbers repeat after so many, long after their flows ended. */
const NUMBERS = 400_000;

export class Population {
  /** Flows that began, changed and ended so far. */
  begun = 0;
  changed = 0;
  ended = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get alive(): number {
    return this.begun - this.ended;
  }

  begin(side: Side, count: number): void {
    insert(side, this.#range(this.begun, count), TIMEOUT_SECONDS);
    this.begun += count;
  }

  end(side: Side, count: number): void {
    const some = Math.min(count, this.alive);
    remove(side, this.#range(this.ended, some));
    this.ended += some;
  }

  /** Gives neighbours somewhere in the window another mark. */
  change(side: Side, count: number): void {
    const some = Math.min(count, this.alive);
    if (some === 0) return;
    const from = this.ended + this.#random.below(this.alive - some + 1);
    insert(side, this.#range(from, some, 1 + this.#random.below(1_000)), TIMEOUT_SECONDS);
    this.changed += some;
  }

  #range(from: number, count: number, mark = 0): Flow[] {
    return Array.from(
      { length: count },
      (_, i) => mixedFlows((from + i) % NUMBERS, ((from + i) % NUMBERS) + 1, mark)[0]!,
    );
  }
}
