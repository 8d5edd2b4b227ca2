/**
 * When the takeover gate is shut (D-012):
 *
 *   guarding   this node is not primary: the gate is shut, anew every third of the watchdog's time, if `mode` wants it
 *   taking     a takeover has begun: it was shut once more then, and is no more; the kernel opens it when the time is up
 *   passing    the commit is verified, or this node was primary already: open
 *
 * A node that is no primary and yet is sent packets that the gate drops, look after look for as long as the watchdog
 * waits, is a router after all, whatever it was told: the gate opens, and stays open until the next transition.
 */
export type GateMode = "off" | "on" | "auto";
/** `shut`: for the watchdog's time from now on. `open`: at once. */
export type GateAction = "shut" | "open" | "none";
/** The same of what goes unanswered. */
export type MuteAction = "mute" | "unmute" | "none";
type Phase = "guarding" | "taking" | "passing";

/** Looks to one watchdog's time: two may fail, and the gate is still shut. */
const LOOKS = 3;

export class GatePolicy {
  readonly #mode: GateMode;
  readonly #watchdogMs: number;
  #phase: Phase = "passing";
  #dueMs = Number.POSITIVE_INFINITY;
  #endMs = Number.POSITIVE_INFINITY;
  #isShut = false;
  #held = 0;
  #busyLooks = 0;
  /** Packets came that belonged to nothing here, for too long. */
  gaveUp = false;

  constructor(mode: GateMode, watchdogMs: number) {
    this.#mode = mode;
    this.#watchdogMs = watchdogMs;
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** This node is not primary, or no more. */
  guard(nowMs: number): void {
    if (this.#mode === "off" || this.#phase === "guarding") return;
    this.#phase = "guarding";
    this.#busyLooks = 0;
    this.gaveUp = false;
    this.#dueMs = nowMs;
  }

  /** A takeover begins. The watchdog runs from now on. */
  take(nowMs: number): GateAction {
    if (this.#phase !== "guarding") return "none";
    if (!this.#isShut) return this.pass();
    this.#phase = "taking";
    this.#endMs = nowMs + this.#watchdogMs;
    this.#dueMs = this.#endMs;
    return "shut";
  }

  /** What a takeover brings is in the kernel; or this node is primary already. */
  pass(): GateAction {
    const wasShut = this.#isShut;
    this.#phase = "passing";
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#isShut = false;
    return wasShut ? "open" : "none";
  }

  /** Mode `auto` looks at once where the kernel's table has become whole, or is no more. */
  notice(isLive: boolean, nowMs: number): void {
    if (this.#mode === "auto" && this.#phase === "guarding" && isLive === this.#isShut) this.#dueMs = nowMs;
  }

  /**
   * A look, when one is due. `held`: packets that the gate has dropped so far. `isLive`: the kernel's table holds all that
   * the peer has, so that `auto` sees nothing to wait for.
   */
  look(held: number, isLive: boolean, nowMs: number): GateAction {
    if (nowMs < this.#dueMs) return "none";
    if (this.#phase === "taking") return this.pass(); // The kernel has opened it by now.
    if (this.#phase === "passing") return "none";
    this.#dueMs = nowMs + this.#watchdogMs / LOOKS;
    if (this.#isShut && held > this.#held) this.#busyLooks++;
    else this.#busyLooks = 0;
    this.#held = held;
    if (this.#busyLooks > LOOKS) {
      this.gaveUp = true;
      return this.pass();
    }
    const shuts = this.#mode === "on" || !isLive;
    const wasShut = this.#isShut;
    this.#isShut = shuts;
    return shuts ? "shut" : wasShut ? "open" : "none";
  }
}

/**
 * When TCP that is INVALID goes unanswered (D-030): in whatever role, while a peer is there that could take the addresses at
 * any moment, or has just done so. Said anew every third of the watchdog's time.
 */
export class MutePolicy {
  readonly #watchdogMs: number;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(watchdogMs: number) {
    this.#watchdogMs = watchdogMs;
  }

  get isMute(): boolean {
    return this.#dueMs !== Number.POSITIVE_INFINITY;
  }

  /** When to look at the latest; a peer that comes or goes is seen by whoever looks earlier. */
  get dueMs(): number {
    return this.#dueMs;
  }

  look(hasPeer: boolean, nowMs: number): MuteAction {
    if (hasPeer === this.isMute && nowMs < this.#dueMs) return "none";
    this.#dueMs = hasPeer ? nowMs + this.#watchdogMs / LOOKS : Number.POSITIVE_INFINITY;
    return hasPeer ? "mute" : "unmute";
  }
}
