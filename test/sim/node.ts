/**
 * One machine: its kernel, and a daemon around the replica under test that does what src/daemon does, in the same order:
 * a turn takes kernel events, datagrams, a slice of the job in hand, lets time pass, and sends.
 */
import { Flow } from "../../src/flow/flow.ts";
import type { Replica } from "../../src/replica.ts";
import type { FtfwLimits } from "../../src/sync/ftfw.ts";
import { Answers } from "./answers.ts";
import type { Code } from "./code.ts";
import { idOf } from "./digest.ts";
import { Kernel, type Versions } from "./kernel.ts";
import type { Datagram, Link } from "./link.ts";
import { Outbox } from "./outbox.ts";
import type { Random } from "./random.ts";
import { type Keys, Seal, type Sealed } from "./seal.ts";
import { Violation } from "./violation.ts";
import { watchExternal } from "./watched.ts";
import { Work } from "./work.ts";

const NEVER = Number.POSITIVE_INFINITY;
const SLOW_TURN_MS = 25;
const SLOW_DATAGRAMS = 1;
const SLOW_SOCKET_DATAGRAMS = 6;
const DATAGRAMS_PER_TURN = 32;
/** A session that may not speak yet is asked again this often. */
const BLOCKED_MS = 20;
/** What was seen last of flows that left is kept for one to two times as long, while the peers are in contact. */
const SEEN_MS = 5_000;
const FOUND_MS = 2_000;
const NO_PAYLOAD = new Uint8Array(new ArrayBuffer(0));

export interface Settings {
  readonly flowsMax: number;
  readonly limits: FtfwLimits;
  readonly staleMs: number;
  readonly nodes: number;
  /** Whether a daemon asks its peers for all they have when it starts. conntrackd does not. */
  readonly asksAtStart: boolean;
  /** Links are sealed, and nodes say what only ctsync nodes understand. */
  readonly isExtended: boolean;
  /** Tuples change, so that ended flows fill the cache while a peer is away; only extended peers can be told afterwards. */
  readonly churns: boolean;
  /** Wall clock when the world begins, of every node. */
  readonly bornMs: number;
}

export interface Clock {
  nowMs: number;
}

interface Event {
  readonly kind: number;
  readonly flow: Flow;
}

export class Node implements Keys {
  readonly index: number;
  readonly kernel: Kernel;
  readonly work: Work;
  replica: Replica | undefined;
  life = 0;
  sendingKey = 0;
  keys = 1;
  /** Wall clock, beside the one that does not jump. */
  clockOffsetMs = 0;
  isSlow = false;
  /** Events that the netlink socket holds. */
  eventsMax = NEVER;
  dueMs = NEVER;
  /** When its external cache was damaged last. */
  damagedMs = 0;
  dropped = 0;
  readonly #code: Code;
  readonly #settings: Settings;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #versions: Versions;
  readonly #watches: boolean;
  readonly #outbox = new Outbox();
  readonly #flow = new Flow();
  #turnedMs = 0;
  #events: Event[] = [];
  /** Events that were worked off, to be filled again. */
  readonly #spare: Flow[] = [];
  #socket: Datagram[] = [];
  #overrun = false;
  #forgotMs = 0;
  #isInContact = false;
  /** Of this life, by peer; none on an open link. */
  #seals: Seal[] = [];
  #answers: Answers;

  constructor(
    index: number,
    code: Code,
    settings: Settings,
    link: Link,
    random: Random,
    versions: Versions,
    clock: Clock,
  ) {
    this.index = index;
    this.#clock = clock;
    this.#random = random;
    this.#versions = versions;
    this.#answers = new Answers(versions);
    this.#code = code;
    this.#settings = settings;
    this.#link = link;
    this.#watches = link.kind !== "forging";
    this.kernel = new Kernel(random, versions, (kind, flow) => this.#event(kind, flow));
    this.work = new Work(this.kernel, code, clock);
  }

  get isUp(): boolean {
    return this.replica !== undefined;
  }

  get isIdle(): boolean {
    return this.#events.length + this.#socket.length === 0 && this.work.isIdle && !this.#overrun;
  }

  accepts(key: number): boolean {
    return (this.keys & (1 << key)) !== 0;
  }

  /** Number of a node among the peers of this one, and back. */
  peerOf(index: number): number {
    return index < this.index ? index : index - 1;
  }

  indexOf(peer: number): number {
    return peer < this.index ? peer : peer + 1;
  }

  /** A new life: empty caches, everything asked of the peers, the kernel's table read again. */
  start(): void {
    const { nowMs } = this.#clock;
    const { flowsMax, limits, staleMs, nodes, bornMs, asksAtStart, isExtended } = this.#settings;
    const code = this.#code;
    this.stop();
    this.life++;
    const where = `node ${this.index} life ${this.life}`;
    const firstSeq = code.firstSequence(bornMs + nowMs + this.clockOffsetMs);
    const extension = isExtended ? { epoch: { high: this.index + 1, low: this.life } } : undefined;
    const session = (peer: number) => (owner: ConstructorParameters<Code["Session"]>[2]) =>
      new code.Session(limits, firstSeq, owner, `${where} to node ${this.indexOf(peer)}`, extension);
    this.replica = new code.Replica({
      flowsMax,
      staleMs,
      filter: new code.AddressFilter([]),
      hashKey: [1 + this.life, 2 + this.index],
      sessions: Array.from({ length: nodes - 1 }, (_, peer) => session(peer)),
    });
    if (this.#watches) watchExternal(this.replica, where);
    if (this.#link.kind === "sealed") this.#seals = this.replica.sessions.map(() => new Seal(code, this, this.#random));
    this.dueMs = nowMs;
    if (asksAtStart) for (const one of this.replica.sessions) one.request();
    this.work.begin(this.replica);
  }

  /** The daemon is gone, and with it all that waits for it. */
  stop(): void {
    this.replica = undefined;
    this.work.end();
    this.#answers = new Answers(this.#versions);
    this.dueMs = NEVER;
    this.#events = [];
    this.#socket = [];
    this.#seals = [];
    this.#overrun = false;
    this.#isInContact = false;
  }

  /** A primary's daemon is killed, and the next one goes on with its reign: roles.ts and reign-file.ts of the daemon. */
  startAmidReign(): void {
    const kept = this.replica?.ownership.reigning.kept ?? null;
    this.start();
    if (this.replica === undefined || kept === null) throw new Error(`node ${this.index} has no reign to go on with`);
    this.replica.role = "master"; // The virtual addresses are here.
    this.replica.ownership.resume(kept);
  }

  /** keepalived says master: notify.ts of the daemon. */
  becomePrimary(done: () => void): void {
    if (this.replica !== undefined) this.replica.role = "master";
    this.work.takeOver(done);
    this.#poke();
  }

  /** keepalived says backup. */
  becomeBackup(): void {
    if (this.replica !== undefined) this.replica.role = "backup";
    for (const session of this.replica?.sessions ?? []) session.request();
    this.#poke();
  }

  /** What an operator may ask for at any time. */
  command(command: "bulk" | "request" | "resync"): void {
    if (command === "resync") this.work.reread();
    else for (const session of this.replica?.sessions ?? []) session[command]();
    this.#poke();
  }

  arrives(datagram: Datagram): void {
    if (!this.isUp) return;
    if (this.isSlow && this.#socket.length >= SLOW_SOCKET_DATAGRAMS) this.dropped++;
    else this.#socket.push(datagram);
    this.#poke();
  }

  turn(nodes: readonly Node[]): void {
    const { replica } = this;
    if (replica === undefined) return;
    const { nowMs } = this.#clock;
    this.#turnedMs = nowMs;
    for (const { kind, flow } of this.#events) {
      replica.kernelEvent(kind, flow, nowMs);
      this.#spare.push(flow);
    }
    this.#events.length = 0;
    if (this.#overrun) {
      this.#overrun = false;
      this.work.repair();
    }
    if (this.#socket.length > 0) this.#datagrams(replica);
    this.work.slice();
    replica.tick(nowMs);
    this.work.rereadIfWanted();
    this.#keepSeen(replica);
    this.work.takeOnIfWanted();
    if (this.#watches) this.#answers.look(this, replica, nodes, nowMs);
    let more = this.#socket.length > 0 || !this.work.isIdle;
    let dueMs = replica.nextDueMs(nowMs);
    for (let peer = 0; peer < replica.sessions.length; peer++) {
      const seal = this.#seals[peer];
      if (seal?.handshake.tick(nowMs)) this.#greet(seal, peer);
      if (seal !== undefined)
        dueMs = Math.min(seal.ready ? dueMs : Math.max(dueMs, nowMs + BLOCKED_MS), seal.handshake.dueMs);
      if (seal?.ready === false) continue;
      if (replica.transmit(peer, this.#outbox, nowMs)) more = true;
      for (const payload of this.#outbox.take()) this.#send(peer, payload, seal?.seal());
    }
    this.dueMs = this.#noSooner(more ? nowMs + 1 : Math.max(nowMs + 1, dueMs));
  }

  #datagrams(replica: Replica): void {
    for (const datagram of this.#socket.splice(0, this.isSlow ? SLOW_DATAGRAMS : DATAGRAMS_PER_TURN)) {
      const { from, payload } = datagram;
      const peer = this.peerOf(from);
      if (!this.#opens(datagram, peer)) continue;
      replica.datagram(peer, new DataView(payload.buffer), 0, payload.length, this.#clock.nowMs);
    }
  }

  /** Whether the channel hands the datagram on. */
  #opens({ isCorrupt, sealed }: Datagram, peer: number): boolean {
    if (sealed === undefined) return this.#link.kind === "forging" || !isCorrupt;
    const seal = this.#seals[peer];
    const isOpen = seal.open(sealed, isCorrupt, this.#clock.nowMs);
    if (seal.handshake.answer) this.#greet(seal, peer);
    return isOpen;
  }

  #greet(seal: Seal, peer: number): void {
    this.#send(peer, NO_PAYLOAD, seal.greeting(this.#clock.nowMs));
  }

  #send(peer: number, payload: Uint8Array<ArrayBuffer>, sealed: Sealed | undefined): void {
    this.#link.send(this.index, this.indexOf(peer), payload, sealed, this.#clock.nowMs);
  }

  #noSooner(dueMs: number): number {
    return this.isSlow ? Math.max(dueMs, this.#turnedMs + SLOW_TURN_MS) : dueMs;
  }

  /** Something waits. */
  #poke(): void {
    if (this.isUp) this.dueMs = Math.min(this.dueMs, this.#noSooner(this.#clock.nowMs));
  }

  #event(kind: number, flow: Flow): void {
    if (!this.isUp) return;
    if (this.#events.length >= this.eventsMax) this.#overrun = true;
    // From an overrun on until the socket was emptied, the kernel drops all.
    if (!this.#overrun) {
      const copy = this.#spare.pop() ?? new Flow();
      copy.copyFrom(flow);
      this.#events.push({ kind, flow: copy });
    }
    this.#poke();
  }

  /** roles.ts of the daemon. */
  #keepSeen({ ownership, sessions }: Replica): void {
    const { nowMs } = this.#clock;
    const boundMs = this.#isInContact ? SEEN_MS : FOUND_MS;
    this.#isInContact = sessions.every(
      (session) => session.peerState(nowMs) === "connected" && session.lagMs(nowMs) < boundMs,
    );
    ownership.inContact(
      this.#isInContact,
      sessions.some((session) => session.peerState(nowMs) === "silent"),
    );
    if (!this.#isInContact || this.work.takesOn) this.#forgotMs = nowMs;
    if (nowMs - this.#forgotMs < SEEN_MS) return;
    this.#forgotMs = nowMs;
    ownership.turn();
  }

  /** Everything with a bound keeps within it. */
  checkBounds(): void {
    const { replica } = this;
    if (replica === undefined) return;
    const { flowsMax } = this.#settings;
    const { resendQueue } = this.#settings.limits;
    const { internal, external, sessions } = replica;
    const within = (what: string, count: number, max: number): void => {
      if (count < 0 || count > max)
        throw new Violation("bounded", `node ${this.index}: ${count} ${what}, ${max} is the bound`);
    };
    within("flows in the internal cache", internal.count + internal.deadCount, flowsMax);
    within("flows in the external cache", external.count, flowsMax);
    for (const session of sessions) {
      within("messages in the resend ring", session.unacknowledged, resendQueue);
      within("flows in the transmit queue", session.queued, flowsMax);
    }
    for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
      internal.read(slot, this.#flow, this.#clock.nowMs);
      const id = idOf(this.#flow.words);
      if (!this.kernel.held.has(id))
        throw new Violation("no-echo", `node ${this.index} announces flow ${id}, which its kernel never had`);
    }
  }
}
