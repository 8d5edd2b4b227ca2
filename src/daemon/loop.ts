/**
 * The loop: waits on one epoll set for everything there is, then takes a turn. Bun's own loop is a descriptor in that set;
 * when it has something (the control socket, a signal), one `setImmediate` lets it work (D-001).
 *
 * A second set lacks the event socket: it is waited on while events gather.
 */
import { bunEpollFd, EPOLLIN, EPOLLOUT, Epoll } from "../../ffi/epoll.ts";
import { Errno } from "../../ffi/errno.ts";
import { RECEIVE_DATAGRAMS } from "../channel/udp.ts";
import { Flow } from "../flow/flow.ts";
import type { AddressWatch } from "../kernel/addresses.ts";
import { BATCH_EVENTS, EVENT_NEW, EVENT_NONE, type EventKind } from "../kernel/events.ts";
import { monotonicMs } from "./clock.ts";
import { Gather } from "./gather.ts";
import type { Link } from "./link.ts";
import type { Node } from "./node.ts";
import type { Part } from "./pauses.ts";
import { Portion } from "./portion.ts";
import type { Roles } from "./roles.ts";
import type { Systemd } from "./systemd.ts";
import { answerPreparations } from "./work/handover.ts";
import { TranslatedMasters } from "./work/translated-masters.ts";

/** Bounds of each part of a turn, so that a flood of events cannot starve the peer, nor the peer the kernel. */
const PART_MS = 2;
/** A batch is some tenths of a millisecond, or a few where what it says is far apart in memory. */
const SEND_MS = 1;
/** Portions begin as small as this. */
const EVENTS_LEAST = 16;
const DATAGRAMS_LEAST = 2;
/** What Bun has without a descriptor, its timers, is looked at this often; all of it where its descriptor is not found. */
const BLIND_MS = 20;
/** No wait is longer: what has no descriptor is looked at. */
const WAIT_MS_MAX = 1_000;

/** Whoever has something to say, and no way to say it, is looked at no more often. */
const MUTE_MS = 100;

const EVENTS = 1;
const BUN = 2;
const ADDRESSES = 3;
const EXPECTATIONS = 4;
const FIFO = 5;
/** Tags of links are this and more. */
const LINK = 16;

export interface LoopParts {
  readonly node: Node;
  readonly addresses: AddressWatch;
  readonly systemd: Systemd;
  readonly roles: Roles;
  /** Own addresses or links changed. */
  readonly addressesChanged: () => void;
  /** The kernel dropped events. */
  readonly overrun: () => void;
  /** The replica needs a reading of the kernel's table. */
  readonly readingWanted: () => void;
  /** Work of the control socket is in hand that Bun alone knows of. */
  readonly clients: () => boolean;
}

export class Loop {
  readonly #node: Node;
  readonly #parts: LoopParts;
  readonly #everything = new Epoll();
  readonly #allButEvents = new Epoll();
  readonly #gather: Gather;
  readonly #masters: TranslatedMasters;
  readonly #flow = new Flow();
  readonly #eventPortion = new Portion(EVENTS_LEAST, BATCH_EVENTS);
  readonly #datagramPortion = new Portion(DATAGRAMS_LEAST, RECEIVE_DATAGRAMS);
  readonly #watched: number[] = [];
  readonly #bunFd = bunEpollFd();
  /** The kernel dropped events, and may still. */
  #overrun = false;
  /** More waits than the last turn could do. */
  #again = true;
  #servedBunMs = 0;
  /** The event socket, or a link's, may have something. */
  #eventsReady = true;
  #linksReady = true;
  #expectationsReady = true;
  /** The kernel dropped events of expectations. */
  #expectationsLost = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#node = parts.node;
    const { masters, replica } = parts.node;
    this.#masters = new TranslatedMasters(masters, replica);
    this.#gather = new Gather(this.#node.config.netlink.gatherMs);
    this.#everything.add(this.#node.events.fd, EVENTS);
    this.#watch(parts.addresses.fd, ADDRESSES, EPOLLIN);
    const { expectationEvents } = parts.node;
    if (expectationEvents !== undefined) this.#watch(expectationEvents.fd, EXPECTATIONS, EPOLLIN);
    if (parts.roles.fifo !== undefined) this.#watch(parts.roles.fifo.fd, FIFO, EPOLLIN);
    if (this.#bunFd >= 0) this.#watch(this.#bunFd, BUN, EPOLLIN);
  }

  async run(): Promise<void> {
    this.#tendLinks(monotonicMs());
    while (!this.#node.state.stopping) {
      const waitedMs = monotonicMs();
      const bun = this.#wait();
      const wokeMs = monotonicMs();
      const { pauses, priority, state } = this.#node;
      const { started } = state;
      pauses.began(wokeMs);
      const working = this.#node.jobs.busy; // Whoever waits for a job hears of its end when Bun's loop runs.
      this.#turn(waitedMs);
      const serve = bun || working || this.#parts.clients();
      if (serve) await new Promise<void>((resolve) => setImmediate(resolve));
      const nowMs = monotonicMs();
      priority.worked(nowMs - wokeMs);
      if (serve) this.#servedBunMs = nowMs;
      if (!started) continue;
      pauses.did("bun", nowMs);
      pauses.ended(nowMs);
    }
    for (const set of [this.#everything, this.#allButEvents]) set.close();
  }

  /** Sleeps until there is something to do. True when Bun has. */
  #wait(): boolean {
    const set = this.#gather.busy ? this.#allButEvents : this.#everything;
    const startMs = monotonicMs();
    const ready = set.wait(this.#waitMs());
    const wokeMs = monotonicMs();
    this.#node.priority.slept(wokeMs - startMs);
    let bun = wokeMs - this.#servedBunMs >= BLIND_MS;
    for (let i = 0; i < ready; i++) {
      const tag = set.tag(i);
      if (tag === EVENTS) this.#eventsReady = true;
      else if (tag === BUN) bun = true;
      else if (tag === LINK) this.#linksReady = true;
      else if (tag === EXPECTATIONS) this.#expectationsReady = true;
      else if (tag === FIFO) this.#parts.roles.readFifo(monotonicMs());
      else if (tag === ADDRESSES && this.#parts.addresses.changed()) {
        this.#parts.addressesChanged();
        this.#tendLinks(monotonicMs());
      }
    }
    return bun;
  }

  #waitMs(): number {
    if (this.#again) return 0;
    const { replica, jobs, links } = this.#node;
    const nowMs = monotonicMs();
    let dueMs = nowMs + WAIT_MS_MAX;
    if (this.#bunFd < 0) dueMs = nowMs + BLIND_MS;
    if (this.#parts.clients()) dueMs = nowMs + 1;
    if (this.#gather.busy) dueMs = Math.min(dueMs, this.#gather.dueMs);
    for (const link of links) dueMs = Math.min(dueMs, link.dueMs);
    let replicaMs = replica.nextDueMs(nowMs);
    if (links.every((link) => this.#isMute(link))) replicaMs = Math.max(replicaMs, nowMs + MUTE_MS);
    dueMs = Math.min(dueMs, this.#node.watch.dueMs, this.#node.flight.dueMs);
    if (this.#follows) dueMs = Math.min(dueMs, this.#node.apply?.dueMs ?? dueMs);
    dueMs = Math.min(dueMs, jobs.dueMs, replicaMs, this.#parts.systemd.dueMs);
    dueMs = Math.min(dueMs, this.#parts.roles.dueMs, this.#masters.dueMs);
    return Math.max(0, dueMs - nowMs);
  }

  /** Nothing can be sent now: epoll will say when it can, `tend`, or a peer that seals. */
  #isMute(link: Link): boolean {
    return !link.maySend || link.channel === undefined || (this.#watched[link.channel.fd] & EPOLLOUT) !== 0;
  }

  /** Whether the kernel may be told of the peer's flows: not while its table is read, or an older part of the dump would bring back what was deleted. */
  get #follows(): boolean {
    const { apply, state } = this.#node;
    return apply?.active === true && state.started && state.rereading === 0;
  }

  /** One turn, left to right. What epoll did not name by `waitedMs` was not there then. */
  #turn(waitedMs: number): void {
    const { replica, jobs, links } = this.#node;
    this.#again = false;
    let nowMs = monotonicMs();
    if (this.#gather.busy ? nowMs >= this.#gather.dueMs : this.#eventsReady) this.#kernelEvents(nowMs);
    else if (!this.#gather.busy) this.#node.state.eventsReadMs = waitedMs;
    nowMs = this.#did("events");
    if (this.#expectationsReady) this.#expectationEvents(nowMs);
    else this.#node.state.expectationsReadMs = waitedMs;
    this.#masters.tick(nowMs);
    nowMs = this.#did("expectations");
    if (this.#linksReady) {
      this.#linksReady = false;
      for (let peer = 0; peer < links.length; peer++) this.#datagrams(links[peer], peer, nowMs);
    }
    nowMs = this.#did("datagrams");
    this.#parts.roles.tick(nowMs);
    nowMs = this.#did("roles");
    if (this.#follows) this.#node.apply?.turn(nowMs);
    nowMs = this.#did("apply");
    jobs.turn(nowMs);
    nowMs = this.#did("job");
    replica.tick(nowMs);
    if (replica.ownership.wantsReading) this.#parts.readingWanted();
    nowMs = this.#did("timers");
    for (let peer = 0; peer < links.length; peer++) {
      if (nowMs >= links[peer].dueMs) this.#tendLinks(nowMs);
      this.#transmit(links[peer], peer, nowMs);
    }
    nowMs = this.#did("sending");
    this.#node.watch.tick(nowMs);
    answerPreparations(this.#node);
    this.#node.flight.tick(nowMs);
    this.#parts.systemd.alive(nowMs);
    this.#did("watches");
  }

  /** The turn has done this part; answers the time. */
  #did(part: Part): number {
    const nowMs = monotonicMs();
    this.#node.pauses.did(part, nowMs);
    return nowMs;
  }

  #kernelEvents(nowMs: number): void {
    const { events, replica, newWindows } = this.#node;
    const portion = this.#eventPortion;
    const flow = this.#flow;
    this.#eventsReady = false;
    let seen = 0;
    for (let atMs = nowMs; atMs - nowMs < PART_MS; ) {
      const asked = portion.size;
      const count = events.receive(asked);
      if (count === -Errno.ENOBUFS) this.#overrun = true;
      else if (count > 0) {
        seen += count;
        for (let kind: EventKind = events.next(flow); kind !== EVENT_NONE; kind = events.next(flow)) {
          if (newWindows.relaxes && kind === EVENT_NEW) newWindows.begun(flow);
          replica.kernelEvent(kind, flow, nowMs);
        }
        newWindows.flush();
      }
      // Fewer than asked for were the last. After an overrun they may also have been cut short by the next one: look again.
      if (this.#overrun ? count <= 0 && count !== -Errno.ENOBUFS : count < asked) {
        this.#gather.looked(seen, nowMs);
        this.#node.state.eventsReadMs = atMs;
        this.#drained();
        return;
      }
      const doneMs = monotonicMs();
      portion.took(count, doneMs - atMs);
      atMs = doneMs;
    }
    this.#gather.looked(seen, nowMs);
    this.#eventsReady = true;
    this.#again = true;
  }

  /** They are few; when events were lost, a reread is whole once the socket ran empty, as for the flows'. */
  #expectationEvents(nowMs: number): void {
    const { expectationEvents, replica } = this.#node;
    this.#expectationsReady = false;
    if (expectationEvents === undefined) return;
    const outcome = expectationEvents.receive((began, expectation) => {
      replica.expectations.kernelEvent(began, expectation, nowMs);
      if (began) this.#masters.began(expectation, nowMs);
    });
    if (outcome === "overrun") this.#expectationsLost = true;
    if (outcome !== "drained") {
      this.#expectationsReady = true;
      this.#again = true;
      return;
    }
    this.#node.state.expectationsReadMs = nowMs;
    if (!this.#expectationsLost) return;
    this.#expectationsLost = false;
    this.#parts.overrun();
  }

  /** From an overrun until the socket was empty once, the kernel drops events and says nothing more: only now is a reread whole. */
  #drained(): void {
    if (!this.#overrun) return;
    this.#overrun = false;
    this.#parts.overrun();
  }

  #datagrams(link: Link, peer: number, nowMs: number): void {
    const { channel } = link;
    if (channel === undefined) return;
    const { replica } = this.#node;
    const portion = this.#datagramPortion;
    const startMs = monotonicMs();
    for (let atMs = startMs; atMs - startMs < PART_MS; ) {
      const asked = portion.size;
      const count = channel.receive(asked);
      for (let i = 0; i < count; i++) {
        if (channel.isPeers(i, nowMs))
          replica.datagram(peer, channel.received, channel.offset(i), channel.lengthOf(i), nowMs);
      }
      if (count < asked) return;
      const doneMs = monotonicMs();
      portion.took(count, doneMs - atMs);
      atMs = doneMs;
    }
    this.#linksReady = true;
    this.#again = true;
  }

  #transmit(link: Link, peer: number, nowMs: number): void {
    const { channel } = link;
    if (channel === undefined) return;
    for (const endMs = monotonicMs() + SEND_MS; monotonicMs() < endMs; ) {
      const more = channel.flush() && this.#node.replica.transmit(peer, channel, nowMs);
      if (more) continue;
      this.#want(channel.fd, channel.flush() ? EPOLLIN : EPOLLIN | EPOLLOUT);
      return;
    }
    this.#again = true;
  }

  #tendLinks(nowMs: number): void {
    for (const link of this.#node.links) {
      const before = link.channel?.fd;
      if (!link.tend(nowMs)) continue;
      // A closed descriptor has left the sets by itself.
      if (before !== undefined) delete this.#watched[before];
      if (link.channel !== undefined) this.#watch(link.channel.fd, LINK, EPOLLIN);
    }
  }

  #watch(fd: number, tag: number, events: number): void {
    this.#everything.add(fd, tag, events);
    this.#allButEvents.add(fd, tag, events);
    this.#watched[fd] = events;
  }

  #want(fd: number, events: number): void {
    if (this.#watched[fd] === events) return;
    this.#everything.modify(fd, LINK, events);
    this.#allButEvents.modify(fd, LINK, events);
    this.#watched[fd] = events;
  }
}
