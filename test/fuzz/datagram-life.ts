/**
 * A life of datagrams into a replica, in the name of its peer, amid true traffic with that peer.
 *
 * `peer` is a node that behaves; `victim` hears it, and hostile datagrams in its name. `twin` hears all that `victim` hears,
 * but each message as a datagram of its own, with poison before and behind it: both must make the same of it. So what a
 * message does depends on its own bytes alone. A read past a whole datagram throws, as its memory ends there.
 *
 * On an open way the nodes speak conntrackd's protocol; on a sealed one (`Way`) they are ctsync nodes that know each other's
 * epoch, and all that reaches `victim` was sealed and opened.
 */
import { AddressFilter } from "../../src/filter/address-filter.ts";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import { Flow, HAS_HELPER, helperName, IPPROTO_UDP } from "../../src/flow/flow.ts";
import { DECODED, decodeConntrack } from "../../src/kernel/ctnetlink.ts";
import { CTNETLINK_HEADER_BYTES } from "../../src/kernel/ctnetlink-attributes.ts";
import { EVENT_DESTROY, EVENT_NEW, Replica } from "../../src/replica.ts";
import { Ftfw } from "../../src/sync/ftfw.ts";
import type { Epoch } from "../../src/sync/session.ts";
import { CLAIM_BYTES, claimOf } from "../../src/wire/claim.ts";
import { decodeFlow } from "../../src/wire/decode.ts";
import { decodeExpectation } from "../../src/wire/expectation.ts";
import { decodeExtension, ExtensionMessage, encodeExtension } from "../../src/wire/extension.ts";
import { CT_DESTROY, HEADER_BYTES, headerFlags, headerSeq, headerType } from "../../src/wire/header.ts";
import { makeFlow } from "../make-flow.ts";
import { type Bytes, Datagrams, viewOf } from "../outbound.ts";
import { checkFlow } from "./check-flow.ts";
import { Poisoned } from "./poisoned.ts";
import { holds, type Life, type Step } from "./target.ts";

const FLOWS_MAX = 48;
const EXPECTATIONS_MAX = 8;
const RESEND_QUEUE = 64;
const IN_FLIGHT_MAX = 32;
/** How long the peer may take to be understood again, whatever was said in its name. */
const RECOVERY_MS = 30_000;

/** How datagrams get from one to the other: what comes out is what went in. */
export interface Way {
  toVictim(datagram: Bytes, nowMs: number): Bytes;
  toPeer(datagram: Bytes, nowMs: number): Bytes;
}

/** The lives of `peer` and `victim` on a sealed way. */
export const PEER_EPOCH: Epoch = { high: 0x0b0b0b0b, low: 0x0b000011 };
export const VICTIM_EPOCH: Epoch = { high: 0x16161616, low: 0x16000022 };

class Node {
  readonly replica: Replica;
  readonly out = new Datagrams();

  constructor(firstSeq: number, epoch: Epoch | undefined) {
    const limits = { flowsMax: FLOWS_MAX, resendQueue: RESEND_QUEUE, inFlightMax: IN_FLIGHT_MAX, ackWindow: 20 };
    this.replica = new Replica({
      flowsMax: FLOWS_MAX,
      expectationsMax: epoch === undefined ? 0 : EXPECTATIONS_MAX,
      filter: new AddressFilter([]),
      staleMs: 5_000,
      hashKey: [1, 2],
      sessions: [(owner) => new Ftfw(limits, firstSeq, owner, epoch && { epoch })],
    });
  }

  says(nowMs: number): Bytes[] {
    this.replica.tick(nowMs);
    const datagrams: Bytes[] = [];
    for (let more = true; more; ) {
      more = this.replica.transmit(0, this.out, nowMs);
      datagrams.push(...this.out.take());
    }
    return datagrams;
  }

  hears(datagram: Bytes, nowMs: number): void {
    this.replica.datagram(0, viewOf(datagram), 0, datagram.length, nowMs);
  }
}

/** What a received message may raise; exactly one of them, unless it is a control message that was obeyed. */
const OTHER_COUNTERS = new Set(["datagrams", "messages"]);
/** Refused for what it says, not for when it comes. */
const REFUSALS = ["truncated", "badSize", "badVersion", "badHeader", "badPayload", "incomplete"];
const CONTROL_TYPE = 10;
const FLAGS_WITH_RANGE = 0x0e;

/** Where each message of a datagram ends, as the protocol's description has it; what nobody can frame is the last one. */
function ends(datagram: Bytes): number[] {
  const view = viewOf(datagram);
  const found: number[] = [];
  for (let at = 0; at < datagram.length; ) {
    const left = datagram.length - at;
    const length = left < HEADER_BYTES ? 0 : view.getUint16(at + 2);
    const ranged =
      left >= HEADER_BYTES && (datagram[at]! & 15) === CONTROL_TYPE && (datagram[at + 1]! & FLAGS_WITH_RANGE) !== 0;
    at = length < (ranged ? 16 : HEADER_BYTES) || length > left ? datagram.length : at + length;
    found.push(at);
  }
  return found;
}

export class DatagramLife implements Life {
  readonly #way: Way | undefined;
  readonly #peer: Node;
  readonly #victim: Node;
  readonly #twin: Node;
  readonly #poisoned = new Poisoned(65_536);
  readonly #flow = new Flow();
  readonly #other = new Flow();
  readonly #message = new ExtensionMessage();
  readonly #again = new ExtensionMessage();
  #nowMs = 1_000_000;
  #peerSeq = 1_000;

  /** `established`: both have greeted each other. */
  constructor(established: boolean, way?: Way) {
    this.#way = way;
    this.#peer = new Node(1_000, way && PEER_EPOCH);
    this.#victim = new Node(50_000, way && VICTIM_EPOCH);
    this.#twin = new Node(50_000, way && VICTIM_EPOCH);
    if (!established) return;
    for (let i = 0; i < 3; i++) this.#talk(1_000, 0);
    holds(this.#victim.replica.sessions[0]!.peerState(this.#nowMs) === "connected", "the handshake was not done");
  }

  apply({ kind, bytes }: Step): string {
    switch (kind) {
      case "far":
        return this.#hostile(bytes);
      case "near":
        return this.#hostile(this.#nearNumbers(bytes));
      case "expectation":
        return this.#expectation(bytes);
      case "extension":
        return this.#extension(bytes);
      case "peer's kernel":
        return this.#kernel([this.#peer], bytes);
      case "victim's kernel":
        return this.#kernel([this.#victim, this.#twin], bytes);
      case "talk":
        return this.#talk(bytes[0]! * bytes[0]!, bytes[1]!);
      default:
        return this.#ask(bytes[0]! % 5);
    }
  }

  end(): void {
    this.#compare();
    const { external } = this.#victim.replica;
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
      external.read(slot, this.#flow, this.#nowMs);
      checkFlow(this.#flow, "peer");
    }
    for (const { replica } of [this.#victim, this.#twin]) replica.flushExternal();
    this.#peer.replica.flushInternal();
    // A number that was forged hides the true message of that number, and nothing in the clear can tell: so no flow begins
    // until the true numbers have passed all forged ones, or have been late for so long that they are believed.
    for (const endMs = this.#nowMs + RECOVERY_MS; this.#nowMs < endMs; ) this.#talk(1_000, 0);
    const flow = makeFlow({ l4proto: IPPROTO_UDP, source: [0xc6336401] });
    this.#peer.replica.kernelEvent(EVENT_NEW, flow, this.#nowMs);
    for (let i = 0; i < 3; i++) this.#talk(1_000, 0);
    holds(external.find(flow) >= 0, `the peer is not understood again after ${RECOVERY_MS} ms`);
  }

  /** Whatever number a message has, it gets one near what the victim expects of the peer. */
  #nearNumbers(bytes: Bytes): Bytes {
    const near = bytes.slice();
    const view = viewOf(near);
    let at = 0;
    for (const end of ends(bytes)) {
      if (at + HEADER_BYTES <= bytes.length)
        view.setUint32(at + 4, (this.#peerSeq + 1 + ((view.getUint32(at + 4) & 15) - 4)) >>> 0);
      at = end;
    }
    return near;
  }

  #hostile(datagram: Bytes): string {
    const { wire } = this.#victim.replica.counters;
    const before = { ...wire };
    this.#victim.hears(this.#arrives(datagram), this.#nowMs);
    holds(wire.datagrams === before.datagrams + 1, "a datagram was not counted once");
    let outcome = "";
    let from = 0;
    for (const end of datagram.length === 0 ? [0] : ends(datagram)) {
      outcome += ` ${this.#alone(datagram.subarray(from, end) as Bytes)}`;
      from = end;
    }
    this.#bounds();
    const counters = Object.keys(wire) as (keyof typeof wire)[];
    for (const name of counters) {
      if (name === "datagrams") continue;
      const twin = this.#twin.replica.counters.wire[name];
      holds(wire[name] === twin, `${name} is ${wire[name]}, and ${twin} where each message came by itself`);
    }
    return outcome;
  }

  /** What the victim gets of a datagram in the peer's name. */
  #arrives(datagram: Bytes): Bytes {
    return this.#way?.toVictim(datagram, this.#nowMs) ?? datagram;
  }

  /** A message for the twin; the counter that it raised. */
  #alone(message: Bytes): string {
    const { replica } = this.#twin;
    const wire = replica.counters.wire as unknown as Record<string, number>;
    const before = { ...wire };
    const flows = replica.external.count;
    const at = this.#poisoned.fill(message);
    replica.datagram(0, this.#poisoned.view, at, message.length, this.#nowMs);
    const raised = Object.keys(wire).filter((name) => wire[name] !== before[name] && !OTHER_COUNTERS.has(name));
    const isControl = message.length >= HEADER_BYTES && (message[0]! & 15) === CONTROL_TYPE;
    const sum = raised.reduce((total, name) => total + wire[name]! - before[name]!, 0);
    holds(sum === 1 || (sum === 0 && isControl), `a message raised ${raised.join(", ") || "nothing"}, ${sum} in all`);
    if (raised.some((name) => REFUSALS.includes(name)))
      holds(replica.external.count === flows, "a refused message changed the external cache");
    if (message.length >= HEADER_BYTES) this.#decode(message);
    return `${raised[0] ?? "control"}${message[0]! & 15}`;
  }

  /** Whatever stands around a message, its decoder makes the same of it. */
  #decode(message: Bytes): void {
    const exact = message.slice();
    const extended = this.#way !== undefined;
    const claimed =
      extended && headerType(viewOf(exact), 0) < CT_DESTROY && claimOf(viewOf(exact), 0, exact.length) !== 0;
    const length = claimed ? exact.length - CLAIM_BYTES : exact.length;
    const verdict = decodeFlow(viewOf(exact), 0, length, this.#flow, extended);
    if (verdict === "ok" && this.#flow.has(HAS_HELPER))
      holds(/^[\x21-\x7e]+$/.test(helperName(this.#flow.words)), "a helper's name is not printable");
    for (const poison of [0x00, 0xff]) {
      const at = this.#poisoned.fill(message, poison);
      const again = decodeFlow(this.#poisoned.view, at, length, this.#other, extended);
      holds(again === verdict, `decoded as ${verdict} alone, as ${again} amid ${poison}`);
      if (verdict !== "ok") continue;
      holds(sameWords(this.#flow.words, this.#other.words), `another flow amid ${poison}`);
    }
  }

  #expectation(message: Bytes): string {
    if (message.length < HEADER_BYTES) return "short";
    const extended = this.#way !== undefined;
    const found = decodeExpectation(viewOf(message.slice()), 0, message.length, extended);
    for (const poison of [0x00, 0xff]) {
      const at = this.#poisoned.fill(message, poison);
      const again = decodeExpectation(this.#poisoned.view, at, message.length, extended);
      holds(Bun.deepEquals(again, found), `another expectation amid ${poison}`);
    }
    if (typeof found === "string") return found;
    for (const text of [found.helper, found.expectfn])
      holds(text === undefined || /^[\x21-\x7e]+$/.test(text), "a name in an expectation is not printable");
    holds(/^[\x20-\x7e]+$/.test(expectationLine(found, 0)), "an expectation's line is not printable");
    return `expectation ${Object.keys(found)}`;
  }

  /** Read alike amid whatever, and what was read is written again as it was. */
  #extension(bytes: Bytes): string {
    if (bytes.length < HEADER_BYTES) return "short";
    const view = viewOf(bytes.slice());
    this.#again.words.fill(0xdeadbeef); // Nothing of a former message may be read.
    const verdict = decodeExtension(view, 0, bytes.length, this.#message);
    const known = soundness(bytes);
    holds(verdict === known, `an extension is ${known}, and was decoded as ${verdict}`);
    for (const poison of [0x00, 0xff]) {
      const at = this.#poisoned.fill(bytes, poison);
      const again = decodeExtension(this.#poisoned.view, at, bytes.length, this.#again);
      holds(again === verdict, `an extension decoded as ${verdict} alone, as ${again} amid ${poison}`);
      if (verdict === "ok") holds(sameMessage(this.#message, this.#again), `another extension amid ${poison}`);
    }
    if (verdict !== "ok") return verdict;
    const written = new Uint8Array(bytes.length + HEADER_BYTES);
    const flags = headerFlags(view, 0);
    const length = encodeExtension(this.#message, viewOf(written), 0, flags, headerSeq(view, 0));
    holds(length <= bytes.length, "an extension is written longer than it was read");
    for (let i = HEADER_BYTES; i < length; i++) holds(written[i] === bytes[i], "an extension is written otherwise");
    return `extension ${this.#message.subtype} ${this.#message.count}`;
  }

  #kernel(nodes: readonly Node[], message: Bytes): string {
    if (message.length < CTNETLINK_HEADER_BYTES) return "short";
    const kind = EVENT_NEW + (message[4]! % EVENT_DESTROY);
    for (const { replica } of nodes) {
      if (decodeConntrack(viewOf(message), 0, message.length, this.#flow.words) !== DECODED) return "undecoded";
      replica.kernelEvent(kind, this.#flow, this.#nowMs);
    }
    return `kernel ${kind}`;
  }

  /** Time passes, and both say what they have to say; a bit of `loss` for each of the peer's datagrams. */
  #talk(laterMs: number, loss: number): string {
    this.#nowMs += laterMs;
    const said = this.#peer.says(this.#nowMs);
    const answered = this.#victim.says(this.#nowMs);
    this.#twin.says(this.#nowMs);
    said.forEach((datagram, i) => {
      let at = 0;
      for (const end of ends(datagram)) {
        this.#peerSeq = headerSeq(viewOf(datagram), at);
        at = end;
      }
      if ((loss >> (i & 7)) & 1) return;
      this.#victim.hears(this.#arrives(datagram), this.#nowMs);
      this.#twin.hears(datagram, this.#nowMs);
    });
    for (const datagram of answered)
      this.#peer.hears(this.#way?.toPeer(datagram, this.#nowMs) ?? datagram, this.#nowMs);
    this.#bounds();
    return `talk ${said.length > 0} ${answered.length > 0}`;
  }

  #ask(what: number): string {
    for (const { replica } of [this.#victim, this.#twin]) {
      if (what === 0) replica.sessions[0]!.bulk();
      else if (what === 1) replica.sessions[0]!.request();
      else if (what === 2) replica.flushExternal();
      else if (what === 3) replica.flushInternal();
    }
    if (what === 4) this.#peer.replica.sessions[0]!.bulk();
    return `ask ${what}`;
  }

  #bounds(): void {
    const expectationsMax = this.#way === undefined ? 0 : EXPECTATIONS_MAX;
    for (const { replica } of [this.#victim, this.#twin, this.#peer]) {
      const session = replica.sessions[0]!;
      const { internal, external } = replica;
      holds(
        internal.count + internal.deadCount <= FLOWS_MAX && external.count <= FLOWS_MAX,
        "a cache grew over its bound",
      );
      holds(session.queued <= FLOWS_MAX + expectationsMax, `${session.queued} flows wait`);
      const { expectations } = replica;
      holds(
        expectations.external.count <= expectationsMax && expectations.internal.count <= expectationsMax,
        "a cache of expectations grew over its bound",
      );
      const { unacknowledged } = session;
      holds(unacknowledged >= 0 && unacknowledged <= RESEND_QUEUE, `${unacknowledged} messages are unacknowledged`);
    }
  }

  #compare(): void {
    const [victim, twin] = [this.#victim.replica, this.#twin.replica];
    holds(Bun.deepEquals(victim.counters.cache, twin.counters.cache), "the cache's counters differ");
    holds(Bun.deepEquals(victim.sessions[0]!.counters, twin.sessions[0]!.counters), "the session's counters differ");
    for (let slot = 0; slot < FLOWS_MAX; slot++) {
      const used = victim.external.isUsed(slot);
      holds(used === twin.external.isUsed(slot), "the external caches differ");
      if (!used) continue;
      victim.external.read(slot, this.#flow, this.#nowMs);
      twin.external.read(slot, this.#other, this.#nowMs);
      holds(sameWords(this.#flow.words, this.#other.words), "a flow of the external caches differs");
    }
  }
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Words and ranges of each subtype, as the protocol's description has them. */
function soundness(bytes: Bytes): "ok" | "unknown" | "badPayload" {
  if (bytes.length < HEADER_BYTES + 4) return "badPayload";
  const [subtype, a, b] = bytes.subarray(HEADER_BYTES);
  const count = Math.floor((bytes.length - HEADER_BYTES - 4) / 4);
  const view = viewOf(bytes);
  const word = (i: number): number => view.getUint32(HEADER_BYTES + 4 + 4 * i);
  const sound = (words: number, others: () => boolean) => (count >= words && others() ? "ok" : "badPayload");
  switch (subtype) {
    case 1:
      return sound(12, () => a! > 0 && (word(1) !== 0 || word(2) !== 0));
    case 2:
      return sound(68, () => a! <= 1 && b! <= 63);
    case 3:
      return sound(5 + 2 * a!, () => a! <= 32 && word(3) <= word(4));
    case 4:
      return sound(3, () => a! <= 1 && b! <= 63);
    case 5:
      return sound(1 + a!, () => a! <= 64);
    case 6:
      return sound(4, () => a! <= 64);
    case 7:
      return sound(2, () => a! <= 64);
    case 8:
      return sound(4, () => a! <= 64);
    default:
      return "unknown";
  }
}

function sameMessage(a: ExtensionMessage, b: ExtensionMessage): boolean {
  if (a.subtype !== b.subtype || a.a !== b.a || a.b !== b.b || a.c !== b.c || a.count !== b.count) return false;
  for (let i = 0; i < a.count; i++) if (a.words[i] !== b.words[i]) return false;
  return true;
}
