/**
 * Seals and opens datagrams: AES-256-GCM with keys that belong to one pair of lives and one direction, so that a nonce,
 * the sender's counter, is never used twice with one key (D-001).
 *
 *   key of HELLO   HKDF-SHA256(link key, "ctsync seal 1 hello", sender's session)
 *   key of DATA    HKDF-SHA256(link key, "ctsync seal 1 data", sender's session, receiver's session)
 *   nonce          4 zero bytes, counter (64 bits): one count for all that a life sends
 *
 * The receiver's session is in the key of DATA: what was sealed for another life of ours does not open, whoever recorded it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import type { LinkKey, LinkKeys } from "../config/link-key.ts";
import { Handshake } from "../sync/handshake.ts";
import { ReplayWindow } from "../sync/replay-window.ts";
import {
  HELLO_BODY_BYTES,
  HELLO_BYTES,
  KIND_DATA,
  KIND_HELLO,
  putHello,
  putSeal,
  readHello,
  SEAL_HEADER_BYTES,
  SEAL_OVERHEAD_BYTES,
  SEAL_TAG_BYTES,
  type SessionId,
  sealCounter,
  sealForm,
  sealIsOf,
  sealKeyId,
} from "../wire/seal.ts";
import type { ChannelCounters } from "./counters.ts";

const CIPHER = "aes-256-gcm";
const TAG = { authTagLength: SEAL_TAG_BYTES } as const;
/** A life that has counted so far ends, and the next begins: no counter comes twice. */
const COUNTER_MAX = Number.MAX_SAFE_INTEGER;

/** `open` answers this for what is not the peer's data. */
export const REFUSED = -1;

/** An accepted key, and what was derived from it. */
interface Accepted {
  readonly key: LinkKey;
  readonly number: number;
  /** For DATA from the established session to ours. */
  data: KeyObject | undefined;
}

export class Seal {
  readonly handshake: Handshake;
  readonly #counters: ChannelCounters;
  readonly #counterMax: number;
  readonly #window = new ReplayWindow();
  readonly #nonce = new Uint8Array(12);
  readonly #hello = new Uint8Array(HELLO_BYTES);
  readonly #helloView = new DataView(this.#hello.buffer);
  #accepted: readonly Accepted[] = [];
  /** For DATA from our session to the established one. */
  #sendData: KeyObject | undefined;
  #counter = 0;
  #peerKey: Accepted | undefined;

  constructor(keys: LinkKeys, counters: ChannelCounters, counterMax = COUNTER_MAX) {
    this.#counters = counters;
    this.#counterMax = counterMax;
    this.handshake = new Handshake(random(2), random(4));
    this.rekey(keys);
  }

  /** From now on the first key is sent with, and each is accepted. Sessions and counters go on. */
  rekey(keys: LinkKeys): void {
    this.#accepted = keys.map((key) => ({ key, number: Number.parseInt(key.id, 16), data: undefined }));
    this.#peerKey = this.#accepted.find(({ key }) => key.id === this.#peerKey?.key.id);
    this.#derive();
  }

  /** What is sealed now, the peer can open. */
  get ready(): boolean {
    return this.handshake.ready;
  }

  get key(): string {
    return this.#accepted[0].key.id;
  }

  get accepted(): readonly string[] {
    return this.#accepted.map(({ key }) => key.id);
  }

  /** The key of the last authentic datagram. */
  get peerKey(): string | undefined {
    return this.#peerKey?.key.id;
  }

  /** Seals in place the `length` bytes that lie SEAL_HEADER_BYTES behind `at`; what the whole has become. */
  seal(bytes: Uint8Array, view: DataView, at: number, length: number): number {
    const total = length + SEAL_OVERHEAD_BYTES;
    putSeal(view, at, KIND_DATA, total, this.#accepted[0].number, this.handshake.session, this.#count());
    this.#encrypt(this.#sendData as KeyObject, bytes, at, length);
    if (this.#counter >= this.#counterMax) this.#renew();
    return total;
  }

  /**
   * Opens a datagram in place: length of the clear one, which lies SEAL_HEADER_BYTES behind `at`, or REFUSED. A greeting is
   * heard and REFUSED; the handshake says whether it wants an answer.
   */
  open(bytes: Uint8Array, view: DataView, at: number, length: number, nowMs: number): number {
    const form = sealForm(view, at, length);
    if (form === "clear" || form === "malformed") return this.#refuse(form);
    const id = sealKeyId(view, at);
    const accepted = this.#accepted.find(({ number }) => number === id);
    if (accepted === undefined) return this.#refuse("wrongKey");
    const isPeers = this.handshake.established && sealIsOf(view, at, this.handshake.peerSession);
    const counter = sealCounter(view, at);
    if (isPeers) {
      const freshness = this.#window.judge(counter);
      if (freshness !== "fresh") return this.#refuse(freshness);
    }
    if (form === "hello") {
      this.#greet(accepted, bytes, view, at, nowMs);
      return REFUSED;
    }
    if (!isPeers) {
      this.handshake.astray();
      return this.#refuse("oldSession");
    }
    accepted.data ??= dataKey(accepted.key, this.handshake.peerSession, this.handshake.session);
    const clear = length - SEAL_OVERHEAD_BYTES;
    if (!this.#decrypt(accepted.data, bytes, at, clear)) return this.#refuse("forged");
    this.#window.mark(counter);
    this.#peerKey = accepted;
    this.handshake.heard(nowMs);
    return clear;
  }

  /** A greeting to be sent now, valid until the next one. */
  greeting(nowMs: number): Uint8Array {
    if (this.#counter >= this.#counterMax) this.#renew();
    const { handshake } = this;
    const { challenge, echo, peerSession: knows } = handshake;
    putHello(this.#helloView, 0, { knows, challenge, echo });
    const [{ key, number }] = this.#accepted;
    putSeal(this.#helloView, 0, KIND_HELLO, HELLO_BYTES, number, handshake.session, this.#count());
    this.#encrypt(helloKey(key, handshake.session), this.#hello, 0, HELLO_BODY_BYTES);
    handshake.greeted(nowMs);
    return this.#hello;
  }

  #greet(accepted: Accepted, bytes: Uint8Array, view: DataView, at: number, nowMs: number): void {
    const sender = Uint32Array.of(view.getUint32(at + 8), view.getUint32(at + 12));
    if (!this.#decrypt(helloKey(accepted.key, sender), bytes, at, HELLO_BODY_BYTES)) {
      this.#refuse("forged");
      return;
    }
    const greeting = this.handshake.receive(readHello(view, at), random(4), nowMs);
    if (greeting === "ours") {
      this.#refuse("oldSession");
      return;
    }
    this.#counters.greetings++;
    if (greeting === "stranger") return;
    if (greeting === "news") {
      this.#window.reset();
      this.#derive();
    }
    this.#window.mark(sealCounter(view, at));
    this.#peerKey = accepted;
  }

  #derive(): void {
    const { session, peerSession, established } = this.handshake;
    for (const accepted of this.#accepted) accepted.data = undefined;
    this.#sendData = established ? dataKey(this.#accepted[0].key, session, peerSession) : undefined;
  }

  #renew(): void {
    this.handshake.renew(random(2), random(4));
    this.#counter = 0;
    this.#derive();
  }

  #count(): number {
    return ++this.#counter;
  }

  #refuse(reason: "clear" | "malformed" | "wrongKey" | "oldSession" | "replayed" | "tooOld" | "forged"): number {
    this.#counters[reason]++;
    return REFUSED;
  }

  /** Encrypts what lies behind the header at `at`, with the header's counter, and puts the tag behind it. */
  #encrypt(key: KeyObject, bytes: Uint8Array, at: number, length: number): void {
    const body = at + SEAL_HEADER_BYTES;
    const cipher = createCipheriv(CIPHER, key, this.#nonceOf(bytes, at), TAG);
    cipher.setAAD(bytes.subarray(at, body));
    bytes.set(cipher.update(bytes.subarray(body, body + length)), body);
    cipher.final();
    bytes.set(cipher.getAuthTag(), body + length);
  }

  /** False, and the bytes are as they were, when the tag is not theirs. */
  #decrypt(key: KeyObject, bytes: Uint8Array, at: number, length: number): boolean {
    const body = at + SEAL_HEADER_BYTES;
    const decipher = createDecipheriv(CIPHER, key, this.#nonceOf(bytes, at), TAG);
    decipher.setAAD(bytes.subarray(at, body));
    decipher.setAuthTag(bytes.subarray(body + length, body + length + SEAL_TAG_BYTES));
    const clear = decipher.update(bytes.subarray(body, body + length));
    try {
      decipher.final();
    } catch {
      return false;
    }
    bytes.set(clear, body);
    return true;
  }

  #nonceOf(bytes: Uint8Array, at: number): Uint8Array {
    for (let i = 0; i < 8; i++) this.#nonce[4 + i] = bytes[at + 16 + i];
    return this.#nonce;
  }
}

const random = (words: number): Uint32Array => randomFillSync(new Uint32Array(words));

const helloKey = (key: LinkKey, sender: SessionId): KeyObject => derived(key, "ctsync seal 1 hello", [sender]);
const dataKey = (key: LinkKey, sender: SessionId, receiver: SessionId): KeyObject =>
  derived(key, "ctsync seal 1 data", [sender, receiver]);

function derived(key: LinkKey, purpose: string, sessions: readonly SessionId[]): KeyObject {
  const ids = Buffer.alloc(sessions.length * 8);
  for (const [i, [high, low]] of sessions.entries()) {
    ids.writeUInt32BE(high, i * 8);
    ids.writeUInt32BE(low, i * 8 + 4);
  }
  const info = Buffer.concat([Buffer.from(purpose), ids]);
  return createSecretKey(Buffer.from(hkdfSync("sha256", key.secret, "", info, 32)));
}
