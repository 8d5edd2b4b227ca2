/**
 * Whether what a node says is known to its peers within moments, and what of its clock follows: which claims were made knowing of
 * which (D-011). All numbers are clocks and claims of `claim.ts`.
 *
 *   lost   the clock at a peer's last word before nothing was heard any more, or the claim up to which it had acknowledged all: what
 *          moved here after that the peer did not know
 *   found  that when it was heard again, made so high that all that is claimed from then on is above all that was before
 */
import type { Session } from "./session.ts";

/** More than a peer's clock makes by itself between two words of it. */
const CONTACT_STEPS = 2 ** 20;

export class Contact {
  /** 0: contact was never lost. */
  lost = 0;
  #found = 0;
  #is = false;
  #meets = false;
  #heard = 0;
  /** The clock at the last turn, and at the one before. */
  #turned = 0;
  #acknowledged = 0;

  /** A peer told its clock: ours was `clock` then and is `next` now. Answers what ours has to be. */
  heard(clock: number, next: number): number {
    this.#heard = clock;
    if (!this.#meets) return next;
    this.#meets = false;
    this.#found = next + CONTACT_STEPS;
    return this.#found;
  }

  /**
   * `isSilent`: nothing is heard of a peer; one that is slow, or greets anew, does not make a moment of what moves the last one.
   * `acknowledged`: the claim up to which all is from this one on.
   */
  look(isInContact: boolean, isSilent: boolean, acknowledged: (from: number) => number): void {
    if (this.#is && isSilent) this.lost = Math.max(this.#heard, acknowledged(this.#heard));
    if (!this.#is && isInContact) this.#meets = true;
    this.#is = isInContact;
  }

  /** Whether the peers have acknowledged all that we said: what our clock, `clock` now, has to be for what moves from now on. */
  ask(sessions: readonly Session[], clock: number): number {
    const owes = ({ bulkDone, queued, unacknowledged }: Session): boolean => !bulkDone || queued + unacknowledged > 0;
    if (!this.#is || this.#meets || sessions.some(owes)) return clock;
    this.#heard = clock;
    this.#acknowledged = clock;
    return clock + 1;
  }

  /** In contact, once in the time that contact means: what moved before the last call is known to all. */
  turn(clock: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, this.#turned);
    this.#turned = clock;
  }

  /** Whether all know of what moved at this clock, by an acknowledgement of all or the time that has passed. */
  isAcknowledged(clock: number): boolean {
    return clock <= this.#acknowledged;
  }

  /** Who claims so may not have heard of our life. */
  isBefore(claim: number): boolean {
    return this.#found === 0 || claim <= this.#found;
  }

  /** Who claims so knew of what we said until contact was lost last, and since it was found. */
  isLate(claim: number): boolean {
    return this.#is && !this.#meets && claim > this.#found;
  }
}

/**
 * The claim up to which the peers have acknowledged all above `from`, if `claims` are ours by slot, before `end`, and none is above
 * `clock`. Most flows did not move since the last word of a peer: of a million it takes a millisecond or two.
 */
export function acknowledgedTo(
  sessions: readonly Session[],
  claims: Float64Array,
  end: number,
  from: number,
  clock: number,
): number {
  if (sessions.some(({ bulkDone }) => !bulkDone)) return 0;
  let known = clock;
  for (let slot = 0; slot < end; slot++) {
    const claim = claims[slot];
    if (claim > from && claim <= known && isOwed(sessions, slot)) known = claim - 1;
  }
  return known;
}

function isOwed(sessions: readonly Session[], slot: number): boolean {
  for (const { extension } of sessions) if (extension?.isSettled(slot) === false) return true;
  return false;
}
