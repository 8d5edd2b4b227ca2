/**
 * A sealed way between `peer` and `victim`, and what reaches `victim` on it that the peer never sealed: changed copies of what
 * it did, what was said before, what was sealed by others.
 *
 * A forgery is told by a few bytes: what it begins from, what is changed of it, and how. They decide all but the random
 * numbers of the two ends (sessions, challenges), on which no outcome depends.
 */
import { ChannelCounters } from "../../src/channel/counters.ts";
import { REFUSED, Seal } from "../../src/channel/seal.ts";
import { type LinkKeys, linkKey } from "../../src/config/link-key.ts";
import { SEAL_HEADER_BYTES, SEAL_OVERHEAD_BYTES, SEAL_TAG_BYTES } from "../../src/wire/seal.ts";
import { type Bytes, viewOf } from "../outbound.ts";
import type { Way } from "./datagram-life.ts";
import { Poisoned } from "./poisoned.ts";
import { holds } from "./target.ts";

const key = (fill: number) => linkKey(new Uint8Array(32).fill(fill));
const [FIRST, SECOND, STRANGE] = [key(1), key(2), key(3)];
const RECORDED_MAX = 64;
const DATAGRAM_BYTES_MAX = 65_536;
/** More than a datagram of the largest link has behind the seal. */
const BODY_BYTES_MAX = 4_096;
const PROBE = Uint8Array.from({ length: 5 }, (_, i) => i);

const REFUSALS = ["clear", "malformed", "wrongKey", "oldSession", "replayed", "tooOld", "forged"] as const;
type Reason = (typeof REFUSALS)[number] | "greetings" | "taken";

/** Which bytes a change is made to, and what may come of it; beside that, the reason for which the original is refused. */
const CHANGES: readonly (readonly [name: string, from: number, bytes: number, reasons: readonly Reason[]])[] = [
  ["magic", 0, 1, ["clear", "malformed"]],
  ["kind", 1, 1, ["malformed", "forged", "oldSession"]],
  ["length", 2, 2, ["malformed"]],
  ["key", 4, 4, ["wrongKey"]],
  ["session", 8, 8, ["oldSession", "forged"]],
  ["counter", 16, 8, ["malformed", "replayed", "tooOld", "forged"]],
  ["body", SEAL_HEADER_BYTES, Number.POSITIVE_INFINITY, ["forged"]],
  ["tag", -SEAL_TAG_BYTES, SEAL_TAG_BYTES, ["forged"]],
];
const CUT = CHANGES.length;
const LENGTHENED = CUT + 1;
const UNCHANGED = LENGTHENED + 1;
export const CHANGE_KINDS = UNCHANGED + 1;

interface Original {
  readonly bytes: Bytes;
  /** What becomes of it as it is. */
  readonly reasons: readonly Reason[];
}

export class SealedWay implements Way {
  readonly #counters = new ChannelCounters();
  readonly #peer = new Seal([FIRST, SECOND], new ChannelCounters());
  readonly #victim = new Seal([FIRST, SECOND], this.#counters);
  /** Others with the same key: two that know each other, and one whose key nobody here has. */
  readonly #stranger = new Seal([FIRST], new ChannelCounters());
  readonly #friend = new Seal([FIRST], new ChannelCounters());
  readonly #enemy = new Seal([STRANGE], new ChannelCounters());
  readonly #poisoned = new Poisoned(DATAGRAM_BYTES_MAX);
  /** What the victim opened. */
  readonly #recorded: Bytes[] = [];

  constructor() {
    const enemysFriend = new Seal([STRANGE], new ChannelCounters());
    for (const [a, b] of [
      [this.#peer, this.#victim],
      [this.#stranger, this.#friend],
      [this.#enemy, enemysFriend],
    ] as const) {
      for (let i = 0; i < 2; i++) {
        opened(b, a.greeting(0).slice(), 0);
        opened(a, b.greeting(0).slice(), 0);
      }
      holds(a.ready && b.ready, "two seals do not come to know each other");
    }
  }

  toVictim(datagram: Bytes, nowMs: number): Bytes {
    const clear = this.#opens(sealed(this.#peer, datagram), nowMs);
    holds(clear !== undefined && same(clear, datagram), "what the peer sealed was not opened as it was");
    return clear;
  }

  toPeer(datagram: Bytes, nowMs: number): Bytes {
    const clear = opened(this.#peer, sealed(this.#victim, datagram), nowMs);
    holds(clear !== undefined && same(clear, datagram), "what the victim sealed was not opened as it was");
    return clear;
  }

  /** Either end sends with either key, and each takes both. */
  rekey(which: number): string {
    const keys = (bit: number): LinkKeys => ((which >> bit) & 1 ? [SECOND, FIRST] : [FIRST, SECOND]);
    this.#peer.rekey(keys(0));
    this.#victim.rekey(keys(1));
    return `rekey ${which & 3}`;
  }

  /** A datagram that the peer did not send now: refused for one reason, and what the peer sends next is opened as ever. */
  forged(recipe: Bytes, nowMs: number): string {
    const [source = 0, kind = 0, ...how] = recipe;
    const original = this.#original(source, how);
    const change = kind % CHANGE_KINDS;
    const bytes = changed(original.bytes, change, how);
    const isChanged = !same(bytes, original.bytes);
    const before = { ...this.#counters };
    const { session, peerSession } = this.#victim.handshake;
    const sessions = [...session, ...peerSession];
    const clear = this.#opens(bytes, nowMs);
    const raised = (["greetings", ...REFUSALS] as const).filter((name) => this.#counters[name] !== before[name]);
    const sum = raised.reduce((total, name) => total + this.#counters[name] - before[name], 0);
    const outcome: Reason = raised[0] ?? "taken";
    holds(sum + (clear === undefined ? 0 : 1) === 1, `a datagram was counted ${sum} times, as ${raised.join(", ")}`);
    const allowed = isChanged ? [...original.reasons, ...reasonsOf(change)] : original.reasons;
    holds(allowed.includes(outcome), `${nameOf(change)} of source ${source % SOURCES}: ${outcome}, not ${allowed}`);
    if (isChanged) holds(clear === undefined && raised[0] !== "greetings", "what nobody sealed was opened or heard");
    holds(this.#victim.ready, "a datagram in the peer's name undid the handshake");
    holds(same([...session, ...peerSession], sessions), "a datagram in the peer's name established another session");
    this.toVictim(PROBE, nowMs);
    return `forged ${nameOf(change)} ${source % SOURCES} ${outcome}`;
  }

  #original(source: number, how: readonly number[]): Original {
    const body = Uint8Array.from(how.slice(2));
    switch (source % SOURCES) {
      case 0:
        return { bytes: sealed(this.#peer, body), reasons: ["taken"] };
      case 1: {
        const recorded = this.#recorded[(how[0] ?? 0) % Math.max(this.#recorded.length, 1)];
        return { bytes: recorded ?? new Uint8Array(0), reasons: ["replayed", "tooOld", "malformed"] };
      }
      case 2:
        return { bytes: this.#peer.greeting(0).slice(), reasons: ["greetings"] };
      case 3:
        return { bytes: this.#stranger.greeting(0).slice(), reasons: ["greetings"] };
      case 4:
        return { bytes: sealed(this.#stranger, body), reasons: ["oldSession"] };
      case 5:
        return { bytes: sealed(this.#enemy, body), reasons: ["wrongKey"] };
      case 6:
        return { bytes: this.#victim.greeting(0).slice(), reasons: ["oldSession"] };
      default:
        return { bytes: body, reasons: ["clear", "malformed", "wrongKey", "oldSession"] };
    }
  }

  /** In the midst of other bytes, which must stay as they are. */
  #opens(datagram: Bytes, nowMs: number): Bytes | undefined {
    const { bytes, view } = this.#poisoned;
    const at = this.#poisoned.fill(datagram);
    const end = at + datagram.length;
    const length = this.#victim.open(bytes, view, at, datagram.length, nowMs);
    for (let i = 0; i < at; i++) holds(bytes[i] === 0xff, "opening wrote before a datagram");
    for (let i = end; i < end + SEAL_TAG_BYTES; i++) holds(bytes[i] === 0xff, "opening wrote behind a datagram");
    if (length === REFUSED) return undefined;
    if (this.#recorded.length === RECORDED_MAX) this.#recorded.shift();
    this.#recorded.push(datagram);
    return bytes.slice(at + SEAL_HEADER_BYTES, at + SEAL_HEADER_BYTES + length);
  }
}

export const SOURCES = 8;

const nameOf = (change: number): string => CHANGES[change]?.[0] ?? ["cut", "lengthened", "unchanged"][change - CUT]!;
const reasonsOf = (change: number): readonly Reason[] => CHANGES[change]?.[3] ?? ["malformed", "clear"];

/**
 * `how`: where within the field, what is laid over it, by exclusive or or as it is. Always a change: what a session or a tag
 * happens to have there is chance.
 */
function changed(original: Bytes, change: number, how: readonly number[]): Bytes {
  const [where = 0, value = 1] = how;
  if (original.length === 0 || change === UNCHANGED) return original;
  if (change === CUT) return original.slice(0, (where * 256 + value) % original.length);
  if (change === LENGTHENED) return Uint8Array.from([...original, ...new Uint8Array(1 + (where % 64)).fill(value)]);
  const [, from, length] = CHANGES[change]!;
  const bytes = original.slice();
  const start = from < 0 ? Math.max(0, bytes.length + from) : from;
  const end = Math.min(
    length === Number.POSITIVE_INFINITY ? bytes.length - SEAL_TAG_BYTES : start + length,
    bytes.length,
  );
  if (end <= start) return bytes;
  const at = start + (where % (end - start));
  const byte = bytes[at]!;
  bytes[at] = where & 0x80 && value !== byte ? value : byte ^ (value || 1);
  return bytes;
}

function sealed(seal: Seal, clear: Bytes): Bytes {
  holds(clear.length <= BODY_BYTES_MAX, "a datagram is longer than the fuzzer has room for");
  const bytes = new Uint8Array(clear.length + SEAL_OVERHEAD_BYTES);
  bytes.set(clear, SEAL_HEADER_BYTES);
  const length = seal.seal(bytes, viewOf(bytes), 0, clear.length);
  holds(length === bytes.length, `${clear.length} bytes were sealed into ${length}`);
  return bytes;
}

/** The clear text, or undefined if it was refused or a greeting. */
function opened(seal: Seal, datagram: Bytes, nowMs: number): Bytes | undefined {
  const length = seal.open(datagram, viewOf(datagram), 0, datagram.length, nowMs);
  return length === REFUSED ? undefined : datagram.slice(SEAL_HEADER_BYTES, SEAL_HEADER_BYTES + length);
}

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
