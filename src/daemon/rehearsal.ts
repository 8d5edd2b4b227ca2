/**
 * A rehearsal, once after the start: two small replicas of our own live through some thousand flows, messages of the
 * kernel's at one end, datagrams in between, messages to the kernel at the other. Nothing of it leaves the process.
 *
 * Bun interprets a function until it has run often enough to be compiled; the first events of a daemon that has just
 * started would cost twenty times what the later ones do, in the middle of a burst or of a takeover (D-006).
 */
import { CommitPlan } from "../cache/commit-plan.ts";
import { ExternalCache } from "../cache/external.ts";
import { FlowHash } from "../cache/hash.ts";
import { AddressFilter } from "../filter/address-filter.ts";
import * as f from "../flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../flow/status.ts";
import { flowLine } from "../flow/text.ts";
import type { KernelCommit } from "../kernel/commit.ts";
import { DECODED, decodeConntrack } from "../kernel/ctnetlink.ts";
import { CT_NEW } from "../kernel/ctnetlink-attributes.ts";
import { decodePacket } from "../kernel/decode-packet.ts";
import { encodeCreate, encodeUpdate } from "../kernel/encode-conntrack.ts";
import { addressFamilyOf } from "../kernel/encode-tuple.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "../kernel/message-writer.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE, type Outbound, Replica } from "../replica.ts";
import { succeed } from "../result.ts";
import { Ftfw } from "../sync/ftfw.ts";
import { LONGEST_MESSAGE_BYTES } from "../wire/claim.ts";
import { monotonicMs } from "./clock.ts";
import type { TupleSource } from "./held-tuples.ts";
import type { Job } from "./jobs.ts";
import { FirstFlows } from "./work/first-flows.ts";

const FLOWS = 512;
const ROUNDS = 40;
/** The clock is looked at once in this many flows: interpreted, each takes 50 to 100 µs, later less than 3. */
const FLOWS_PER_LOOK = 8;
const FLOWS_PER_LOOK_LATER = 64;
const ROUNDS_INTERPRETED = 8;
const SLICE_MS = 1;
const PAYLOAD_BYTES = 1_471;
const DATAGRAMS = 8;
const TCP_ESTABLISHED = 3;
/** One packet in so many flows is held. */
const HELD_EVERY = 3;
const PACKET_BYTES = 128;

/** What is rehearsed of the daemon's own commit: nothing is sent of it. */
export type RehearsedCommit = Pick<KernelCommit, "add" | "hasRoom" | "discard">;

/** `isSealed`: as between two ctsync nodes on a sealed channel. How many messages of flows arrived. */
export function* rehearse(commit: RehearsedCommit, isSealed = false): Job<number> {
  const pair = new RehearsedPair(commit, isSealed);
  for (let round = 0; round < ROUNDS; round++) {
    const perLook = round < ROUNDS_INTERPRETED ? FLOWS_PER_LOOK : FLOWS_PER_LOOK_LATER;
    for (const kind of [EVENT_NEW, EVENT_UPDATE, EVENT_DESTROY]) {
      let sliceEndMs = monotonicMs() + SLICE_MS;
      for (let i = 0; i < FLOWS; i++) {
        pair.event(kind, i);
        if (i % perLook !== 0) continue;
        pair.exchange();
        if (monotonicMs() < sliceEndMs) continue;
        commit.discard(); // In the next turn a real commit may be under way.
        yield 0;
        sliceEndMs = monotonicMs() + SLICE_MS;
      }
    }
  }
  commit.discard();
  return succeed(pair.arrived);
}

class RehearsedPair {
  readonly #primary: Replica;
  readonly #backup: Replica;
  readonly #datagrams = new MemoryOutbound();
  readonly #writer = new MessageWriter(MESSAGE_BYTES_MAX);
  readonly #flow = new f.Flow();
  readonly #read = new f.Flow();
  readonly #commit: RehearsedCommit;
  #plan: CommitPlan;
  /** The same flows with their reply tuples, which what goes in between does not tell. */
  readonly #translated = new ExternalCache(FLOWS, new FlowHash(1, 2));
  readonly #held = new HeldPacket();
  #first: FirstFlows;
  found = 0;
  #nowMs = 0;
  charactersPrinted = 0;

  constructor(commit: RehearsedCommit, isSealed: boolean) {
    this.#commit = commit;
    this.#primary = rehearsedReplica(1, isSealed);
    this.#backup = rehearsedReplica(1_000_000, isSealed);
    this.#plan = new CommitPlan(this.#backup.external);
    for (let i = 0; i < FLOWS; i++) {
      shape(this.#read.words, i);
      this.#translated.create(this.#read, 0);
    }
    this.#first = new FirstFlows(this.#held, this.#translated);
    for (let i = 0; i < 4; i++) this.exchange(1_000); // The two greet each other.
  }

  get arrived(): number {
    return this.#backup.counters.wire.flowsReceived;
  }

  event(kind: number, i: number): void {
    shape(this.#flow.words, i);
    const writer = this.#writer;
    writer.clear();
    writer.begin(CT_NEW, 0, i, addressFamilyOf(this.#flow.words[f.PROTO]));
    encodeCreate(writer, this.#flow.words, 300, 0);
    writer.end();
    if (decodeConntrack(writer.view, 0, writer.at, this.#read.words) !== DECODED) return;
    this.#primary.kernelEvent(kind, this.#read, this.#nowMs);
    const slot = this.#plan.next(this.#read, this.#nowMs);
    if (slot < 0) {
      this.#plan = new CommitPlan(this.#backup.external);
      this.#first = new FirstFlows(this.#held, this.#translated);
      return;
    }
    if (i % HELD_EVERY === 0) this.#hold(i);
    if (!this.#commit.hasRoom()) this.#commit.discard();
    this.#commit.add(this.#read, slot, 300);
    writer.clear();
    writer.begin(CT_NEW, 0, i, addressFamilyOf(this.#read.words[f.PROTO]));
    encodeUpdate(writer, this.#read.words, 300, 0);
    writer.end();
    if (i % 16 === 0) this.charactersPrinted += flowLine(this.#read, 1).length;
  }

  /** An answer to flow number i is held at the gate. */
  #hold(i: number): void {
    const { view } = this.#writer;
    const { words } = this.#flow;
    shape(words, i);
    view.setUint32(0, 0x45000000);
    view.setUint32(4, 0);
    view.setUint32(8, f.l4protoOf(words[f.PROTO]) << 16);
    view.setUint32(12, words[f.REPLY_SRC]);
    view.setUint32(16, words[f.REPLY_DST]);
    view.setUint32(20, words[f.REPLY_PORTS]);
    this.#held.isThere = decodePacket(view, 0, PACKET_BYTES, this.#held.tuple);
    this.#first.look();
    while (this.#first.next() >= 0) this.found++;
  }

  exchange(laterMs = 1): void {
    this.#nowMs += laterMs;
    this.#primary.tick(this.#nowMs);
    this.#backup.tick(this.#nowMs);
    this.#pass(this.#primary, this.#backup);
    this.#pass(this.#backup, this.#primary);
  }

  #pass(from: Replica, to: Replica): void {
    const { view } = this.#datagrams;
    for (let more = true; more; ) {
      more = from.transmit(0, this.#datagrams, this.#nowMs);
      for (let i = 0; i < this.#datagrams.count; i++)
        to.datagram(0, view, this.#datagrams.offset(i), this.#datagrams.lengthOf(i), this.#nowMs);
      this.#datagrams.count = 0;
    }
  }
}

function rehearsedReplica(firstSeq: number, isSealed: boolean): Replica {
  const limits = { resendQueue: 2 * FLOWS, inFlightMax: FLOWS, ackWindow: 64 };
  const extension = isSealed ? { epoch: { high: 0, low: firstSeq } } : undefined;
  return new Replica({
    flowsMax: FLOWS,
    staleMs: 60_000,
    filter: new AddressFilter([]),
    hashKey: [1, 2],
    sessions: [(owner) => new Ftfw(limits, firstSeq, owner, extension)],
  });
}

/** Flow number i: mostly translated TCP over IPv4, as firewalls see it; some UDP, some IPv6. */
function shape(words: Uint32Array, i: number): void {
  const l4proto = i % 4 === 3 ? f.IPPROTO_UDP : f.IPPROTO_TCP;
  const family = i % 8 === 7 ? 6 : 4;
  words.fill(0);
  words[f.PROTO] = f.protoWord(family, l4proto, 0, f.ZONE_BOTH);
  words[f.ORIG_SRC] = 0x0a000001 + (i >>> 4);
  words[f.ORIG_DST] = 0xc0000201;
  words[f.REPLY_SRC] = words[f.ORIG_DST];
  words[f.REPLY_DST] = family === 4 ? 0xc6336401 : words[f.ORIG_SRC];
  words[f.ORIG_PORTS] = f.portsWord(1024 + i, 443);
  words[f.REPLY_PORTS] = f.portsWord(443, 1024 + i);
  words[f.HAS] = f.HAS_REPLY | f.HAS_PORTS | f.HAS_STATUS | f.HAS_TIMEOUT | f.HAS_MARK;
  words[f.STATUS] = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
  if (family === 4) words[f.STATUS] |= IPS_SRC_NAT | IPS_SRC_NAT_DONE;
  words[f.TIMEOUT] = 300;
  if (l4proto !== f.IPPROTO_TCP) return;
  words[f.HAS] |= f.HAS_STATE;
  words[f.INFO] = TCP_ESTABLISHED;
}

/** A packet that the gate has held, once. */
class HeldPacket implements TupleSource {
  readonly tuple = new Uint32Array(f.KEY_WORDS);
  isThere = false;

  next(words: Uint32Array): boolean {
    if (!this.isThere) return false;
    this.isThere = false;
    words.set(this.tuple);
    return true;
  }
}

/** Datagrams that go nowhere. */
class MemoryOutbound implements Outbound {
  readonly payloadMax = PAYLOAD_BYTES;
  readonly bytes = new Uint8Array(new ArrayBuffer(DATAGRAMS * (PAYLOAD_BYTES + LONGEST_MESSAGE_BYTES)));
  readonly view = new DataView(this.bytes.buffer);
  readonly #lengths = new Uint32Array(DATAGRAMS);
  count = 0;

  get room(): number {
    return DATAGRAMS - this.count;
  }

  open(): number {
    return this.offset(this.count);
  }

  close(lengthBytes: number): void {
    this.#lengths[this.count++] = lengthBytes;
  }

  offset(i: number): number {
    return i * (PAYLOAD_BYTES + LONGEST_MESSAGE_BYTES);
  }

  lengthOf(i: number): number {
    return this.#lengths[i];
  }
}
