/**
 * The handshake of a sealed link: which life of the peer is the present one, and whether it knows ours.
 *
 * Each life of a node has a random session id and a random challenge. A greeting (HELLO) says the challenge, repeats the
 * last one heard, and says which session of the other it has established. A session is believed only if its greeting
 * repeats our present challenge: then it was made after the challenge was, so by a life that lived then, and is no recording.
 * A challenge is spent once it established a session. So no clock is asked which of two lives is the later one, and one that
 * was set back changes nothing.
 *
 * Greetings go out by timer until both know each other, and again when the peer falls silent; one that shows that its sender
 * does not know us is answered at once. Nothing is kept for a stranger.
 */
import type { Challenge, Hello, SessionId } from "../wire/seal.ts";

/** A greeting is repeated this often until it is answered. */
export const GREET_MS = 250;
/** A peer from whom nothing came for this long is greeted again: it may know us no more. */
export const SILENT_MS = 3_000;

/** `news`: another session is established now. `stranger`: it has not proved that it lives. `ours`: a reflection. */
export type Greeting = "news" | "known" | "stranger" | "ours";

export class Handshake {
  readonly session: SessionId = new Uint32Array(2);
  readonly peerSession: SessionId = new Uint32Array(2);
  readonly challenge: Challenge = new Uint32Array(4);
  /** The last challenge heard. */
  readonly echo: Challenge = new Uint32Array(4);
  /** The last greeting wants its answer now. */
  answer = false;
  #established = false;
  #known = false;
  #settled = false;
  #heardMs = Number.NEGATIVE_INFINITY;
  #greetedMs = Number.NEGATIVE_INFINITY;
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(session: SessionId, challenge: Challenge) {
    this.renew(session, challenge);
  }

  /** Begins another life. */
  renew(session: SessionId, challenge: Challenge): void {
    this.session.set(session);
    this.challenge.set(challenge);
    this.peerSession.fill(0);
    this.#established = false;
    this.#known = false;
    this.#settled = false;
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }

  /** The peer's session is the one that lives. */
  get established(): boolean {
    return this.#established;
  }

  /** And it has shown that it knows ours: what is sent can be read there. */
  get ready(): boolean {
    return this.#established && this.#known;
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  /** A greeting that is authentic; `fresh` becomes the next challenge, should this one be spent by it. */
  receive(hello: Hello, fresh: Challenge, nowMs: number): Greeting {
    this.answer = false;
    if (equal(hello.session, this.session)) return "ours";
    this.echo.set(hello.challenge);
    const knowsUs = equal(hello.knows, this.session);
    if (this.#established && equal(hello.session, this.peerSession)) {
      this.#believe(knowsUs, nowMs);
      this.answer = !knowsUs;
      return "known";
    }
    this.answer = true;
    if (!equal(hello.echo, this.challenge)) return "stranger";
    this.#established = true;
    this.#known = false;
    this.peerSession.set(hello.session);
    this.challenge.set(fresh);
    this.#believe(knowsUs, nowMs);
    return "news";
  }

  /** A datagram of the established session, authentic and new: who sent it knows our session, or could not have sealed it. */
  heard(nowMs: number): void {
    this.#believe(true, nowMs);
  }

  /** A datagram came of a session that is not established: perhaps the peer believes that it is. */
  astray(): void {
    this.#settled = false;
    this.#dueMs = Math.min(this.#dueMs, this.#greetedMs + GREET_MS);
  }

  /** Whether a greeting must go out now. */
  tick(nowMs: number): boolean {
    if (nowMs < this.#dueMs) return false;
    if (this.#settled && nowMs - this.#heardMs < SILENT_MS) {
      this.#dueMs = this.#heardMs + SILENT_MS;
      return false;
    }
    this.#settled = false;
    this.greeted(nowMs);
    return true;
  }

  /** A greeting goes out. */
  greeted(nowMs: number): void {
    this.answer = false;
    this.#greetedMs = nowMs;
    this.#dueMs = nowMs + GREET_MS;
  }

  #believe(knowsUs: boolean, nowMs: number): void {
    this.#known ||= knowsUs; // A greeting from before it knew us may come late.
    this.#settled = knowsUs;
    this.#heardMs = nowMs;
  }
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  let differing = 0;
  for (let i = 0; i < a.length; i++) differing |= a[i] ^ b[i];
  return differing === 0;
}
