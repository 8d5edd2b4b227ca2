/**
 * Plays a recording into a `Replica` that stands in for one of its nodes: what the other node sent arrives, what happened
 * to the node happens, and what the replica wants to send is kept.
 */
import { AddressFilter } from "../../src/filter/address-filter.ts";
import { Flow } from "../../src/flow/flow.ts";
import { flowLine } from "../../src/flow/text.ts";
import { type Outbound, Replica } from "../../src/replica.ts";
import { Dirt } from "../../src/sync/dirt.ts";
import { Ftfw } from "../../src/sync/ftfw.ts";
import type { PeerState, Sending, Session, SlotOwner, Verdict } from "../../src/sync/session.ts";
import { MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import { frameLength, headerSeq } from "../../src/wire/header.ts";
import { withoutReply } from "./lines.ts";
import { type Meta, type Node, type RawMessage, type RecordedEvent, readMessages, readMeta } from "./recording.ts";

const FLOWS_MAX = 1024;
const PAYLOAD_MAX = 1471;
/** conntrackd's defaults. */
const ACK_WINDOW = 300;
const RESEND_QUEUE = 131_072;

/** Takes what a replica sends, one datagram after the other, and hands it out message by message. */
class Mailbox implements Outbound {
  readonly bytes = new Uint8Array(PAYLOAD_MAX + MESSAGE_MAX_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly room = 2;
  readonly messages: DataView[] = [];

  readonly payloadMax = PAYLOAD_MAX;

  open(): number {
    return 0;
  }

  close(lengthBytes: number): void {
    for (let at = 0; at < lengthBytes; ) {
      const messageBytes = frameLength(this.view, at, lengthBytes);
      if (messageBytes < 0) throw new Error(`the replica wrote a message that frames as ${messageBytes}`);
      this.messages.push(new DataView(this.bytes.slice(at, at + messageBytes).buffer));
      at += messageBytes;
    }
  }
}

/**
 * Recordings whose node learns flows from its peer, and how often it printed its external cache. In 09 there are no
 * caches: flows go straight into the kernel.
 */
export const RECEIVERS: readonly (readonly [string, Node, number])[] = [
  ["01-notrack-udp", "f2", 2],
  ["02-notrack-mcast-nat", "f2", 1],
  ["03-notrack-tcp-bulk", "f2", 3],
  ["04-ftfw-udp-expect", "f2", 2],
  ["05-ftfw-udp-loss", "f2", 1],
  ["06-ftfw-udp-restart", "f2", 7],
  ["07-ftfw-mcast6", "f1", 1],
  ["07-ftfw-mcast6", "f2", 1],
  ["08-alarm-udp", "f2", 2],
  ["10-ftfw-zones-synproxy", "f2", 1],
  ["11-ftfw-tcp", "f2", 3],
  ["12-ftfw-failover", "f1", 3],
  ["12-ftfw-failover", "f2", 3],
  ["13-ftfw-scripted-peer", "f2", 1],
];

/** One life of a node, from the start of its daemon to its end. */
export class Life {
  readonly replica: Replica;
  readonly #mailbox = new Mailbox();

  constructor(session: (owner: SlotOwner) => Session) {
    this.replica = new Replica({
      flowsMax: FLOWS_MAX,
      expectationsMax: FLOWS_MAX,
      staleMs: 60_000,
      filter: new AddressFilter([]),
      hashKey: [1, 2],
      sessions: [session],
    });
  }

  receive(view: DataView, nowMs: number): void {
    this.replica.datagram(0, view, 0, view.byteLength, nowMs);
  }

  /** What the replica wants to send now. */
  transmit(nowMs: number): DataView[] {
    while (this.replica.transmit(0, this.#mailbox, nowMs));
    return this.#mailbox.messages.splice(0);
  }

  /**
   * The external cache as conntrackd would print it: it has no reply tuple there, so ours is taken out. Sorted, as the
   * order is the hash table's.
   */
  externalLines(nowMs: number): string[] {
    const { external } = this.replica;
    const flow = new Flow();
    const lines: string[] = [];
    for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
      external.read(slot, flow, nowMs);
      lines.push(withoutReply(flowLine(flow, external.ageSeconds(slot, nowMs))));
    }
    return lines.sort();
  }
}

export type Happening =
  | { readonly kind: "message"; readonly timeMs: number; readonly sent: boolean; readonly message: RawMessage }
  | { readonly kind: "event"; readonly timeMs: number; readonly event: RecordedEvent };

/** What the node's tap saw and what was done to the node, in order of time. */
export function happenings(name: string, node: Node): Happening[] {
  const meta = readMeta(name);
  const own = (node === "f1" ? meta.f1_sync : meta.f2_sync).map((address) => address.split("/")[0]);
  const messages = [...readMessages(name, node)].map((message): Happening => {
    const sent = own.some((address) => sameAddress(address, message.source.split(" ")[0]));
    return { kind: "message", timeMs: message.timeSeconds * 1000, sent, message };
  });
  const events = meta.events
    .filter((event) => event.node === node)
    .map((event): Happening => ({ kind: "event", timeMs: event.t * 1000, event }));
  return [...messages, ...events].sort((a, b) => a.timeMs - b.timeMs);
}

/** Where sequence numbers do not matter (NOTRACK, ALARM) all data counts that arrives. Says nothing itself. */
class Unreliable implements Session {
  readonly extended = false;
  readonly peerCapabilities = 0;
  readonly peerEpoch = null;
  readonly peerRole = "unknown";
  readonly bulkProgress = null;
  readonly extension = undefined;
  readonly dirty = null;
  readonly dirt = new Dirt();
  readonly outgoing = { seq: 0, flags: 0, slot: 0, from: 0, to: 0 };
  readonly bulkDone = true;
  readonly requestDone = true;
  readonly requests = 0;
  readonly requestsAnswered = 0;
  readonly heardMs = 0;
  readonly unacknowledged = 0;
  readonly inFlight = 0;
  readonly queued = 0;
  readonly counters = {};
  receive(): Verdict {
    return "deliver";
  }
  transmit(): Sending {
    return "nothing";
  }
  nextDueMs(): number {
    return Number.POSITIVE_INFINITY;
  }
  peerState(): PeerState {
    return "connected";
  }
  lagMs(): number {
    return 0;
  }
  isSettled(): boolean {
    return true;
  }
  isPostponed(): boolean {
    return false;
  }
  changed(): void {}
  found(): void {}
  tick(): void {}
  bulk(): void {}
  request(): void {}
  unreadable(): void {}
  retain(): void {}
}

/** A life of the node that begins at `all[at]`. In FTFW it counts from the number that the recorded daemon counted from. */
export function beginLife(meta: Meta, all: readonly Happening[], at: number): Life {
  if (meta.mode !== "FTFW") return new Life(() => new Unreliable());
  const limits = {
    resendQueue: Number(meta.modeopt.ResendQueueSize ?? RESEND_QUEUE),
    ackWindow: Number(meta.modeopt.ACKWindowSize ?? ACK_WINDOW),
    inFlightMax: FLOWS_MAX,
  };
  return new Life((owner) => new Ftfw(limits, firstSeqAfter(all, at), owner));
}

/** Number of the first message the node sends from `all[from]` on. */
function firstSeqAfter(all: readonly Happening[], from: number): number {
  for (const happening of all.slice(from)) {
    if (happening.kind === "message" && happening.sent) return headerSeq(happening.message.view, 0);
  }
  return 0;
}

/** Recorded addresses have all their IPv6 groups; those of meta.json are shortened. */
function sameAddress(short: string, long: string): boolean {
  if (!short.includes(":")) return short === long;
  const [head, tail] = short.split("::").map((part) => part.split(":").filter(Boolean));
  const zeros = Array<string>(8 - head.length - (tail?.length ?? 0)).fill("0");
  return [...head, ...zeros, ...(tail ?? [])].join(":") === long;
}
