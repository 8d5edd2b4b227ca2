/**
 * Which role this node has, out of what is said and what is seen: keepalived's words by its notify_fifo and by the notify
 * command, and the virtual addresses that the kernel says are held here (D-013).
 *
 *   the same role twice      is one transition, and its work is done once
 *   a notify command's word  that the fifo has said a moment ago is the echo of that, however late its process starts
 *   master                   has its work begun at once; a step-down waits until the role has settled, so that a role
 *                            that flaps ends in the last word, with one step-down or none
 *   the addresses appear     all of them: a takeover, though nobody has said so yet; held at our start: we are primary
 *                            already, and nothing is to be done
 *   an address disappears    and no word comes: no longer primary
 *   a notify command's       and none of the addresses that were here before is: its process came late, after the
 *   master                   transition that followed it (keepalived moves addresses first, then starts the command)
 *
 * Nothing here reads a clock or does the work: `next` says what is due.
 */
import type { NotifyRole, Role } from "../report.ts";

/** A step-down waits so long for the word that takes it back. */
export const SETTLE_MS = 250;
/** A notify command's process may start this much later than the fifo spoke. */
const ECHO_MS = 5_000;
/** Words and addresses may disagree for so long before anybody is bothered. */
export const DOUBT_MS = 1_000;

export type Source = "notify" | "fifo";
/** `taken`: the role changes; `same`: it is what it was, or its work is done again since it failed; `echo`: not obeyed. */
export type Heard = "taken" | "same" | "echo";
export type Doubt = "master-without-address" | "address-without-master" | "no-word";

export interface ArbiterOptions {
  /** The addresses appear: take over without waiting for a word. */
  readonly takeByAddress: boolean;
}

export class RoleArbiter {
  role: Role = "unknown";
  readonly #takeByAddress: boolean;
  readonly #fifoSaidMs: Record<NotifyRole, number> = {
    master: Number.NEGATIVE_INFINITY,
    backup: Number.NEGATIVE_INFINITY,
    fault: Number.NEGATIVE_INFINITY,
    stop: Number.NEGATIVE_INFINITY,
  };
  #due: { readonly role: NotifyRole; readonly atMs: number } | null = null;
  #begun: NotifyRole | null = null;
  #failed = false;
  /** How many virtual addresses are held here, of how many; none known: nothing is concluded from them. */
  #held = -1;
  #known = 0;
  /** Since when all, or none, of them are here. */
  #addressesMs = Number.NEGATIVE_INFINITY;
  #roleMs = Number.NEGATIVE_INFINITY;
  /** They were all here once, so they are the right ones. */
  #wereHeld = false;
  /** They went, or are not here as was said, and nobody has said why. */
  #leaveMs = Number.POSITIVE_INFINITY;
  /** The role comes from the addresses, and no word has confirmed it. */
  #unconfirmed = false;

  constructor({ takeByAddress }: ArbiterOptions) {
    this.#takeByAddress = takeByAddress;
  }

  /** `again`: the role has work to do though it is the same. */
  word(source: Source, role: NotifyRole, nowMs: number, again = false): Heard {
    if (source === "fifo") this.#fifoSaidMs[role] = nowMs;
    else if (role !== this.role && nowMs - this.#fifoSaidMs[role] < ECHO_MS) return "echo";
    const isLate = source === "notify" && role === "master" && this.#wereHeld && this.#held === 0;
    this.#leaveMs = isLate ? nowMs + DOUBT_MS : Number.POSITIVE_INFINITY;
    if (role !== this.role) {
      this.#become(role, nowMs);
      this.#unconfirmed = false;
      return "taken";
    }
    this.#unconfirmed = false;
    if ((this.#failed || again) && this.#due === null) this.#schedule(role, nowMs);
    return "same";
  }

  /** So many of the known virtual addresses are held here now. */
  addresses(held: number, known: number, nowMs: number): void {
    const first = this.#held < 0;
    const before = this.isHolding;
    if (held !== this.#held) this.#addressesMs = nowMs;
    this.#held = held;
    this.#known = known;
    if (this.isHolding) this.#wereHeld = true;
    if (this.isHolding === before) return;
    if (first) {
      if (this.role === "unknown") this.role = "master"; // Nothing is due: this kernel's table is the newest there is.
    } else if (this.isHolding) {
      this.#leaveMs = Number.POSITIVE_INFINITY;
      if (!this.#takeByAddress || this.role === "master") return;
      this.#become("master", nowMs);
      this.#unconfirmed = true;
    } else if (this.role === "master") this.#leaveMs = nowMs + DOUBT_MS;
  }

  /** All virtual addresses are here. */
  get isHolding(): boolean {
    return this.#known > 0 && this.#held === this.#known;
  }

  /** The role whose work is to begin now, once; undefined: none. */
  next(nowMs: number): NotifyRole | undefined {
    if (nowMs >= this.#leaveMs) {
      this.#leaveMs = Number.POSITIVE_INFINITY;
      this.#become("backup", nowMs);
      this.#unconfirmed = true;
    }
    if (this.#due === null || nowMs < this.#due.atMs) return undefined;
    const { role } = this.#due;
    this.#due = null;
    this.#begun = role;
    this.#failed = false;
    return role;
  }

  /** The role whose work is due, now or when it has settled. */
  get pending(): NotifyRole | null {
    return this.#due?.role ?? null;
  }

  get dueMs(): number {
    return Math.min(this.#due?.atMs ?? Number.POSITIVE_INFINITY, this.#leaveMs);
  }

  /** The work of a role has ended; where it failed, the same word is no repetition. */
  finished(role: NotifyRole, ok: boolean): void {
    if (role === this.#begun) this.#failed = !ok;
  }

  /** What does not fit together for longer than a transition takes. */
  doubt(nowMs: number): Doubt | null {
    const sinceMs = Math.max(this.#roleMs, this.#addressesMs);
    if (this.#known === 0 || this.role === "unknown" || nowMs - sinceMs < DOUBT_MS) return null;
    if (this.role === "master" && this.#held === 0) return "master-without-address";
    if (this.role !== "master" && this.isHolding) return "address-without-master";
    return this.#unconfirmed ? "no-word" : null;
  }

  #become(role: NotifyRole, nowMs: number): void {
    this.role = role;
    this.#roleMs = nowMs;
    this.#schedule(role, nowMs);
  }

  /** A step-down that was taken back and is said again is done; a takeover is not, as the peer may have had the flows. */
  #schedule(role: NotifyRole, nowMs: number): void {
    const isDone = role !== "master" && role === this.#begun && !this.#failed;
    this.#due = isDone ? null : { role, atMs: role === "master" ? nowMs : nowMs + SETTLE_MS };
  }
}
