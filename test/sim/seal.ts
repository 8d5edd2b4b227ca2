/**
 * A sealed link without its cipher: what src/channel/seal.ts does, in the same order, with the handshake and the replay
 * window under test. What a datagram was sealed with stands beside it, and who cannot open it cannot read it either.
 */
import type { Handshake } from "../../src/sync/handshake.ts";
import type { ReplayWindow } from "../../src/sync/replay-window.ts";
import type { Hello } from "../../src/wire/seal.ts";
import type { Code } from "./code.ts";
import type { Random } from "./random.ts";

export interface Sealed {
  readonly key: number;
  readonly session: Uint32Array;
  /** The life it is sealed for; a greeting is for whoever has the key. */
  readonly to: Uint32Array | undefined;
  readonly counter: number;
  readonly hello: Hello | undefined;
}

/** Keys of a node: the one it sends with, and those it takes. */
export interface Keys {
  readonly sendingKey: number;
  accepts(key: number): boolean;
}

export class Seal {
  readonly handshake: Handshake;
  readonly #window: ReplayWindow;
  readonly #keys: Keys;
  readonly #random: Random;
  #counter = 0;

  constructor(code: Code, keys: Keys, random: Random) {
    this.#random = random;
    this.#keys = keys;
    this.handshake = new code.Handshake(this.#words(2), this.#words(4));
    this.#window = new code.ReplayWindow();
  }

  /** Datagrams may be sealed once this is true. */
  get ready(): boolean {
    return this.handshake.ready;
  }

  seal(): Sealed {
    return { ...this.#stamp(), to: this.handshake.peerSession.slice(), hello: undefined };
  }

  greeting(nowMs: number): Sealed {
    const { handshake } = this;
    handshake.greeted(nowMs);
    const hello = {
      session: handshake.session.slice(),
      knows: handshake.peerSession.slice(),
      challenge: handshake.challenge.slice(),
      echo: handshake.echo.slice(),
    };
    return { ...this.#stamp(), to: undefined, hello };
  }

  /** True for what the replica may have. A greeting is heard, and the handshake says whether it wants an answer. */
  open({ key, session, to, counter, hello }: Sealed, isCorrupt: boolean, nowMs: number): boolean {
    const { handshake } = this;
    if (!this.#keys.accepts(key)) return false;
    const isPeers = handshake.established && equal(session, handshake.peerSession);
    if (isPeers && this.#window.judge(counter) !== "fresh") return false;
    if (hello !== undefined) {
      if (!isCorrupt) this.#greet(hello, counter, nowMs);
      return false;
    }
    if (!isPeers) {
      handshake.astray();
      return false;
    }
    if (isCorrupt || to === undefined || !equal(to, handshake.session)) return false;
    this.#window.mark(counter);
    handshake.heard(nowMs);
    return true;
  }

  #greet(hello: Hello, counter: number, nowMs: number): void {
    const greeting = this.handshake.receive(hello, this.#words(4), nowMs);
    if (greeting === "ours" || greeting === "stranger") return;
    if (greeting === "news") this.#window.reset();
    this.#window.mark(counter);
  }

  #stamp(): Pick<Sealed, "key" | "session" | "counter"> {
    return { key: this.#keys.sendingKey, session: this.handshake.session.slice(), counter: ++this.#counter };
  }

  #words(count: number): Uint32Array {
    return Uint32Array.from({ length: count }, () => this.#random.word());
  }
}

const equal = (a: Uint32Array, b: Uint32Array): boolean => a.every((word, i) => word === b[i]);
