/**
 * What the flight recorder sees by itself: the peer's silence, the link, addresses that come and go, and after a takeover
 * the first packets that come to be forwarded.
 *
 * Those are seen by the kernel's own count of packets given to forwarding (forwarded.ts), looked at every few milliseconds
 * from the moment an address arrives or keepalived speaks, and no longer than needed.
 */
import { isLinkLocal, type Words } from "../config/address.ts";
import { addressText } from "../flow/address.ts";
import type { NotifyRole } from "../report.ts";
import { monotonicMs } from "./clock.ts";
import { ForwardedPackets } from "./forwarded.ts";
import type { Node } from "./node.ts";

/** The state of the peer is looked at no more often. */
const LOOK_MS = 50;
/** Packets are looked for this often at first, then seldom, then no more. */
const CLOSE_MS = 2;
const CLOSE_FOR_MS = 5_000;
const SELDOM_MS = 250;
const WATCH_FOR_MS = 60_000;

interface Held {
  readonly family: 4 | 6;
  readonly words: Words;
}

export class FlightWatch {
  readonly #node: Node;
  readonly #packets = new ForwardedPackets();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #peer = "";
  #link = "";
  #addresses: ReadonlySet<string> | undefined;
  /** Looking for packets since then; and what the count was. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #base = 0;
  #packetDueMs = Number.POSITIVE_INFINITY;
  #seenFirst = false;
  /** The count when the commit ended. */
  #committedAt: number | undefined;

  constructor(node: Node) {
    this.#node = node;
  }

  get dueMs(): number {
    return this.#packetDueMs;
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#packetDueMs) this.#lookForPackets(nowMs);
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#lookAtLink();
    const [session] = this.#node.replica.sessions;
    const [link] = this.#node.links;
    const state = session.peerState(nowMs);
    if (state === this.#peer) return;
    this.#peer = state;
    const a = Number.isFinite(session.heardMs) ? nowMs - session.heardMs : -1;
    this.#node.flight.note("peer", `${link.peer} ${state}`, { a });
  }

  /**
   * Own addresses, as they are now. One that comes may be a virtual one: packets follow it. The link-local one that each
   * interface gives itself seconds after it came up is none.
   */
  addresses(found: readonly Held[]): void {
    const { flight, state } = this.#node;
    const now = new Set(found.map(textOf));
    const virtual = new Set(found.filter((address) => !isLinkLocal(address)).map(textOf));
    const before = this.#addresses;
    this.#addresses = now;
    if (before === undefined) return;
    const gained = [...now].filter((address) => !before.has(address));
    const gone = [...before].filter((address) => !now.has(address));
    if (gained.length + gone.length === 0) return;
    flight.note("addresses", [...gained.map((text) => `+${text}`), ...gone.map((text) => `-${text}`)].join(" "));
    if (gained.some((text) => virtual.has(text)) && state.role !== "master") this.#watchPackets();
  }

  /** Keepalived has spoken; `before`: what this node was. */
  spoken(role: NotifyRole, before: string): void {
    const { flight, replica, links } = this.#node;
    const [session] = replica.sessions;
    if (role !== before && Number.isFinite(session.heardMs))
      flight.note("peer-last", links[0].peer, { atMs: session.heardMs });
    flight.note("role", role, { a: replica.external.count, b: replica.internal.count });
    if (role === before) return;
    this.#noteProof();
    if (role !== "master") this.#packetDueMs = Number.POSITIVE_INFINITY;
    else if (monotonicMs() - this.#sinceMs > CLOSE_FOR_MS) this.#watchPackets();
  }

  /** How sure it is that this node holds all that the peer had. */
  #noteProof(): void {
    const { flight, replica, links } = this.#node;
    const { supported, equalMs, flows, differing } = replica.held(0);
    if (!supported) return;
    const a = Number.isFinite(equalMs) ? monotonicMs() - equalMs : -1;
    flight.note("proof", links[0].peer, { a, b: flows, c: differing });
  }

  committed(): void {
    if (this.#packetDueMs !== Number.POSITIVE_INFINITY) this.#committedAt = this.#packets.count();
  }

  #lookAtLink(): void {
    const { interface: name, up } = this.#node.links[0].report();
    const said = `${name} ${up ? "up" : "down"}`;
    if (said !== this.#link) this.#node.flight.note("link", said);
    this.#link = said;
  }

  #watchPackets(): void {
    this.#base = this.#packets.count();
    this.#sinceMs = monotonicMs();
    this.#packetDueMs = this.#sinceMs + CLOSE_MS;
    this.#seenFirst = false;
    this.#committedAt = undefined;
  }

  #lookForPackets(nowMs: number): void {
    const count = this.#packets.count();
    const after = this.#committedAt !== undefined && count > this.#committedAt;
    if (count > this.#base && (after || !this.#seenFirst)) {
      const when = this.#committedAt === undefined ? "before the commit" : "after the commit";
      if (after || when === "before the commit") this.#node.flight.note("forward", when, { a: count - this.#base });
      this.#seenFirst = true;
    }
    const watchedMs = nowMs - this.#sinceMs;
    const isOver = after || watchedMs > WATCH_FOR_MS;
    this.#packetDueMs = isOver ? Number.POSITIVE_INFINITY : nowMs + (watchedMs > CLOSE_FOR_MS ? SELDOM_MS : CLOSE_MS);
  }
}

const textOf = ({ family, words }: Held): string => addressText(words, 0, family);
