/**
 * Netlink messages: single ones into the decoder, datagrams of them into the readers of events, dumps and addresses, through
 * real sockets that this process sends to itself.
 *
 * Held against: the same bytes amid poison; a second framing, written for this alone; and libnetfilter_conntrack, for every
 * message that a kernel could have made.
 */
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { Flow, isIcmp, REPLY_PORTS } from "../../src/flow/flow.ts";
import { type OwnAddress, readAddresses } from "../../src/kernel/addresses.ts";
import { DECODED, decodeConntrack } from "../../src/kernel/ctnetlink.ts";
import { CT_DELETE, CT_NEW, CTNETLINK_HEADER_BYTES } from "../../src/kernel/ctnetlink-attributes.ts";
import { DUMP_DONE, DUMP_FAILED, DUMP_FLOW, KernelDump } from "../../src/kernel/dump.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_NONE, EVENT_UPDATE, KernelEvents } from "../../src/kernel/events.ts";
import { explain, kernelError } from "../../src/kernel/kernel-error.ts";
import { NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER_BYTES } from "../../src/kernel/netlink.ts";
import { parseByLibrary } from "../netns/kernel-library.ts";
import type { Random } from "../sim/random.ts";
import { align4, concatenate } from "./attribute-tree.ts";
import { checkFlow } from "./check-flow.ts";
import { DatagramPair } from "./datagram-pair.ts";
import { addressMessages, kernelMessages, type Message, mutateAddress, mutateConntrack } from "./kernel-corpus.ts";
import { hasShortValue, isKernelLike } from "./kernel-like.ts";
import { mutateBytes, pick } from "./mutate.ts";
import { Poisoned } from "./poisoned.ts";
import { holds, type Life, type Step, type Target } from "./target.ts";

/** As src/kernel/events.ts has it. */
const EVENT_BYTES_MAX = 1_600;
const EPROTO = 71;
const NLM_F_CREATE = 0x400;

const viewOf = (bytes: Message): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A message that ends a dump as it should. */
const DONE: Message = Uint8Array.of(20, 0, 0, 0, NLMSG_DONE, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** Our sockets instead of the kernel's, for as long as `work` opens one. */
function instead<T>(pair: DatagramPair, work: () => T): T {
  const { open } = ConntrackSocket;
  const fake = { fd: pair.fd, requestDump: () => 0, close: () => {} };
  ConntrackSocket.open = () => fake as unknown as ConntrackSocket;
  try {
    return work();
  } finally {
    ConntrackSocket.open = open;
  }
}

class CtnetlinkLife implements Life {
  readonly #pair = new DatagramPair();
  readonly #events: KernelEvents;
  readonly #dump = new KernelDump();
  readonly #poisoned = new Poisoned(65_536);
  readonly #flow = new Flow();
  readonly #other = new Flow();

  constructor() {
    const events = instead(this.#pair, () => KernelEvents.open({ bufferBytes: 65_536, bufferMaxBytes: 65_536 }));
    if (!events.ok) throw new Error(explain(events.error));
    this.#events = events.value;
  }

  apply({ kind, bytes }: Step): string {
    switch (kind) {
      case "message":
        return this.#message(bytes);
      case "events":
        return this.#eventsOf(bytes);
      case "dump":
        return this.#dumpOf(bytes);
      default:
        return this.#addresses(bytes);
    }
  }

  /** After all of it, every recorded message is read as what it is. */
  end(): void {
    for (const message of kernelMessages)
      holds(this.#eventsOf(message).startsWith("events 1"), "a true event is not understood");
    holds(
      this.#dumpOf(concatenate(kernelMessages.slice(0, 60))).startsWith("dump 60"),
      "a true dump is not understood",
    );
    this.#pair.close();
  }

  #message(bytes: Message): string {
    if (bytes.length < CTNETLINK_HEADER_BYTES) return "short";
    const exact = bytes.slice();
    const answer = decodeConntrack(viewOf(exact), 0, exact.length, this.#flow.words);
    for (const poison of [0x00, 0xff]) {
      const at = this.#poisoned.fill(bytes, poison);
      const again = decodeConntrack(this.#poisoned.view, at, at + bytes.length, this.#other.words);
      holds(again === answer, `answered ${answer} alone, ${again} amid ${poison}`);
      holds(answer !== DECODED || sameWords(this.#flow.words, this.#other.words), `another flow amid ${poison}`);
    }
    const kernelLike = isKernelLike(exact);
    holds(!kernelLike || answer === DECODED, `refused (${answer}) what a kernel could have said`);
    if (answer !== DECODED) return `message ${answer}`;
    holds(!hasShortValue(exact), "a value was read that is longer than its attribute");
    checkFlow(this.#flow, kernelLike ? "kernel" : "nobody");
    const { words } = this.#flow;
    if (kernelLike) this.#asTheLibrary(exact);
    return `message ${words[19]} ${words[0]! >>> 16} ${kernelLike}`;
  }

  #asTheLibrary(message: Message): void {
    const library = parseByLibrary(message);
    if (library === undefined) throw new Error("the library refused what we decoded");
    if (isIcmp(this.#flow.l4proto)) this.#flow.words[REPLY_PORTS] = 0; // The library keeps none.
    for (const [i, word] of library.entries())
      holds(this.#flow.words[i] === word, `word ${i} is ${this.#flow.words[i]}, the library says ${word}`);
  }

  #eventsOf(datagram: Message): string {
    const events = this.#events;
    const { received, malformed, unknown, truncated } = events;
    this.#pair.send(datagram);
    holds(events.receive() === 1, "the datagram did not come");
    const wanted = expectedEvents(datagram);
    let count = 0;
    for (let kind = events.next(this.#flow); kind !== EVENT_NONE; kind = events.next(this.#flow)) {
      const event = wanted.events[count++];
      holds(event !== undefined && kind === event.kind, `event ${count} is ${kind}, not ${event?.kind}`);
      holds(sameWords(this.#flow.words, event.words), `event ${count} has another flow`);
    }
    const raised = [
      events.received - received,
      events.malformed - malformed,
      events.unknown - unknown,
      events.truncated - truncated,
    ];
    const expected = [wanted.events.length, wanted.malformed, wanted.unknown, wanted.truncated];
    holds(
      raised.join() === expected.join(),
      `raised ${raised}, not ${expected} (received, malformed, unknown, truncated)`,
    );
    return `events ${raised}`;
  }

  #dumpOf(datagram: Message): string {
    const dump = this.#dump;
    instead(this.#pair, () => dump.start());
    if (datagram.length > 0) this.#pair.send(datagram); // The kernel sends no empty one.
    this.#pair.send(DONE);
    const wanted = expectedDump(datagram);
    let count = 0;
    let step = dump.next(this.#flow);
    for (; step === DUMP_FLOW; step = dump.next(this.#flow)) {
      const words = wanted.flows[count++];
      holds(words !== undefined && sameWords(this.#flow.words, words), `entry ${count} is another flow`);
    }
    holds(!dump.running, `the dump runs on after ${step}`);
    this.#pair.drain();
    const found = `${count} ${step} ${step === DUMP_FAILED ? dump.errno : 0} ${dump.malformed}`;
    const expected = `${wanted.flows.length} ${wanted.step} ${wanted.errno} ${wanted.malformed}`;
    holds(found === expected, `${found}, not ${expected} (flows, step, errno, malformed)`);
    if (step === DUMP_FAILED) holds(explain(kernelError("dump", -dump.errno)).length < 300, "an errno without end");
    return `dump ${found}`;
  }

  #addresses(datagram: Message): string {
    const found: OwnAddress[] = [];
    const exact = datagram.slice();
    const answer = readAddresses(viewOf(exact), exact.length, found);
    holds(answer <= 1, `answered ${answer}`);
    for (const poison of [0x00, 0xff]) {
      const at = this.#poisoned.fill(datagram, poison);
      const again: OwnAddress[] = [];
      const view = new DataView(this.#poisoned.bytes.buffer, at);
      holds(readAddresses(view, datagram.length, again) === answer, `another answer than ${answer} amid ${poison}`);
      holds(Bun.deepEquals(again, found), `other addresses amid ${poison}`);
    }
    return `addresses ${found.map(({ family }) => family)} ${answer}`;
  }
}

interface ExpectedEvents {
  readonly events: { readonly kind: number; readonly words: Uint32Array }[];
  malformed: number;
  unknown: number;
  truncated: number;
}

function expectedEvents(datagram: Message): ExpectedEvents {
  const expected: ExpectedEvents = { events: [], malformed: 0, unknown: 0, truncated: 0 };
  if (datagram.length > EVENT_BYTES_MAX) {
    expected.truncated++;
    return expected;
  }
  let rest = datagram;
  while (rest.length > 0) {
    const length = rest.length < CTNETLINK_HEADER_BYTES ? 0 : viewOf(rest).getUint32(0, true);
    if (length < CTNETLINK_HEADER_BYTES || length > rest.length) {
      expected.malformed++;
      break;
    }
    const message = rest.slice(0, length);
    const type = viewOf(message).getUint16(4, true);
    const words = type === CT_NEW || type === CT_DELETE ? decoded(message) : undefined;
    if (type !== CT_NEW && type !== CT_DELETE) expected.unknown++;
    else if (words === undefined) expected.malformed++;
    else {
      const created = (viewOf(message).getUint16(6, true) & NLM_F_CREATE) !== 0;
      expected.events.push({ kind: type === CT_DELETE ? EVENT_DESTROY : created ? EVENT_NEW : EVENT_UPDATE, words });
    }
    rest = rest.slice(align4(length));
  }
  return expected;
}

interface ExpectedDump {
  readonly flows: Uint32Array[];
  step: number;
  errno: number;
  malformed: number;
}

function expectedDump(datagram: Message): ExpectedDump {
  const expected: ExpectedDump = { flows: [], step: DUMP_DONE, errno: 0, malformed: 0 };
  const failed = (errno: number): ExpectedDump => ({ ...expected, step: DUMP_FAILED, errno });
  let rest = datagram;
  while (rest.length >= NLMSG_HEADER_BYTES) {
    const view = viewOf(rest);
    const length = view.getUint32(0, true);
    if (length < NLMSG_HEADER_BYTES || length > rest.length) return failed(EPROTO);
    const type = view.getUint16(4, true);
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      const errno = length < 20 ? 0 : -view.getInt32(16, true);
      return errno === 0 && type === NLMSG_DONE ? expected : failed(errno || EPROTO);
    }
    if (type === CT_NEW) {
      const words = length < CTNETLINK_HEADER_BYTES ? undefined : decoded(rest.slice(0, length));
      if (words === undefined) expected.malformed++;
      else expected.flows.push(words);
    }
    rest = rest.slice(align4(length));
  }
  if (rest.length > 0) expected.malformed++;
  return expected; // What follows is the end.
}

function decoded(message: Message): Uint32Array | undefined {
  const { words } = new Flow();
  return decodeConntrack(viewOf(message), 0, message.length, words) === DECODED ? words : undefined;
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Messages one behind the other, each padded, most of them changed. */
function datagramOf(count: number, random: Random, make: () => Message): Message {
  const parts = Array.from({ length: count }, () => {
    const message = make();
    const padded = new Uint8Array(align4(message.length));
    padded.set(message);
    return random.percent(97) ? padded : message;
  });
  const whole = concatenate(parts);
  return random.percent(15) ? mutateBytes(whole, random) : whole;
}

const KEPT_BYTES_MAX = 1_200;

export const ctnetlinkTarget: Target = {
  name: "ctnetlink",
  steps: 2_000,
  cases: () => 1,
  flavours: 1,
  begin: () => new CtnetlinkLife(),
  make(random: Random, kept: readonly Step[]): Step {
    const dice = random.below(100);
    const conntrack = (): Message => {
      const old = kept.length > 0 && random.percent(40) ? pick(random, kept) : undefined;
      const isFit = old?.kind === "message" && old.bytes.length <= KEPT_BYTES_MAX;
      const base = isFit ? old.bytes : pick(random, kernelMessages);
      return mutateConntrack(base, random);
    };
    if (dice < 55) return { kind: "message", bytes: conntrack() };
    if (dice < 75) return { kind: "events", bytes: datagramOf(1 + random.below(4), random, conntrack) };
    if (dice < 88) {
      const ended = random.percent(20) ? [mutateBytes(DONE, random)] : [];
      return { kind: "dump", bytes: concatenate([datagramOf(1 + random.below(4), random, conntrack), ...ended]) };
    }
    const address = (): Message => mutateAddress(pick(random, addressMessages), random);
    return { kind: "addresses", bytes: datagramOf(1 + random.below(3), random, address) };
  },
};
