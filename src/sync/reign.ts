/**
 * The reign of this node (`claim.ts`): when it began, and what a daemon that starts anew amid one goes on with (D-012).
 */
import { CLAIM_MAX } from "../wire/claim.ts";
import { FOUND, REIGN, reignOf, UNSAID } from "./claim.ts";

/** What outlives the daemon. */
export interface KeptReign {
  /** The clock when the reign began: what a peer claimed up to then was known to whoever took over. */
  readonly known: number;
  /** How many daemons have gone on with it. */
  readonly lives: number;
}

/** More than a clock makes in a life, so that each life claims higher than those before it. */
const LIFE_STEPS = 2 ** 26;

export class Reign {
  /** 0: none has begun. */
  number = 0;
  /** What stands in our kernel when the reign begins is claimed so; what moves, higher. */
  base = UNSAID;
  #kept: KeptReign | null = null;
  /** A former life of this daemon began it, and our kernel's table has not been read since. */
  #finds = false;

  /** Null before the first one. */
  get kept(): KeptReign | null {
    return this.#kept;
  }

  /** A former life of this daemon began it. */
  get isResumed(): boolean {
    return this.#kept !== null && this.#kept.lives > 0;
  }

  /** The claim on what a dump shows: whether it has moved since the reign began nobody knows who did not see it begin. */
  get stands(): number {
    return this.#finds ? this.base + FOUND : this.base;
  }

  /** What comes to light from now on has not moved. */
  kernelRead(): void {
    this.#finds = false;
  }

  /** A reign after all that the clock has seen; what the clock has to be for what moves in it. */
  begin(clock: number): number {
    return this.#begin({ known: clock, lives: 0 });
  }

  /** The same for the next daemon: what the former one claimed is lower. */
  resume({ known, lives }: KeptReign): number {
    return this.#begin({ known, lives: lives + 1 });
  }

  /** Whoever began the reign took over what a peer claims so, if it lived. */
  hadKnown(claim: number): boolean {
    return this.#kept !== null && this.isResumed && claim <= this.#kept.known;
  }

  #begin(kept: KeptReign): number {
    this.#kept = kept;
    this.#finds = kept.lives > 0;
    this.number = reignOf(kept.known) + 1;
    this.base = Math.min(this.number * REIGN, CLAIM_MAX - FOUND - 1);
    return this.base + FOUND + 1 + kept.lives * LIFE_STEPS;
  }
}
