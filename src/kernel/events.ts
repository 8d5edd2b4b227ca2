/**
 * The kernel's conntrack events: every flow that begins, changes or ends, as it happens.
 *
 *   const count = events.receive();                       one recvmmsg; -errno when there is nothing
 *   while ((kind = events.next(flow)) !== EVENT_NONE) …   the batch, event by event, decoded into `flow`
 *
 * Events that our own requests caused do not reach us, by the port id of the socket that made them (`ignorePortIds`), or
 * what we commit would echo back to the peer. -ENOBUFS means that the kernel dropped events: the buffer has been grown as
 * far as it may, and the caller must reread the table, since what it holds is suspect now.
 */
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket, GROUP_DESTROY, GROUP_NEW, GROUP_UPDATE } from "../../ffi/libnetfilter-conntrack.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import { dropPortIds } from "../../ffi/socket-filter.ts";
import { Option, setOption } from "../../ffi/socket-options.ts";
import type { Flow } from "../flow/flow.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { DECODED, decodeConntrack } from "./ctnetlink.ts";
import { CT_DELETE, CT_NEW, CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import { align4, messageFlags, messageLength, messageType, NLM_F_CREATE } from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

export const EVENT_NONE = 0;
export const EVENT_NEW = 1;
export const EVENT_UPDATE = 2;
export const EVENT_DESTROY = 3;
export type EventKind = typeof EVENT_NONE | typeof EVENT_NEW | typeof EVENT_UPDATE | typeof EVENT_DESTROY;

/** linux/netfilter/nfnetlink.h */
const NFNLGRP_CONNTRACK_NEW = 1;
/** Events a `receive` can bring, one datagram each. */
export const BATCH_EVENTS = 128;
/** The longest event, an IPv6 flow with master and every extension, takes under 900 bytes. */
const EVENT_BYTES_MAX = 1600;

export interface EventOptions {
  readonly bufferBytes: number;
  /** How far the receive buffer may grow when events were lost. */
  readonly bufferMaxBytes: number;
}

export class KernelEvents {
  readonly fd: number;
  /** Counters since the start. Each datagram's messages raise exactly one of received, malformed, unknown. */
  received = 0;
  /** The message lies about a length or lacks what every flow has. */
  malformed = 0;
  /** Neither a new, a changed nor a destroyed flow. */
  unknown = 0;
  /** Datagrams longer than their room: dropped. */
  truncated = 0;
  /** Times the kernel dropped events because our buffer was full. */
  overruns = 0;
  /** What the receive buffer holds now. */
  bufferBytes: number;

  readonly #socket: ConntrackSocket;
  readonly #bufferMaxBytes: number;
  readonly #batch = new ReceiveBatch(BATCH_EVENTS, EVENT_BYTES_MAX);
  #datagrams = 0;
  #datagram = 0;
  #at = 0;
  #end = 0;

  static open(options: EventOptions): Result<KernelEvents, KernelError> {
    const socket = ConntrackSocket.open(GROUP_NEW | GROUP_UPDATE | GROUP_DESTROY);
    if (typeof socket === "number") return refuse(kernelError("follow the kernel's conntrack events", socket));
    return succeed(new KernelEvents(socket, options));
  }

  private constructor(socket: ConntrackSocket, options: EventOptions) {
    this.#socket = socket;
    this.fd = socket.fd;
    this.#bufferMaxBytes = Math.max(options.bufferMaxBytes, options.bufferBytes);
    this.bufferBytes = setReceiveBuffer(this.fd, options.bufferBytes);
  }

  /** A warning worth a log line when the kernel gave less than `wantedBytes`, else undefined. */
  bufferWarning(wantedBytes: number): KernelError | undefined {
    if (this.bufferBytes >= wantedBytes) return undefined;
    return { kind: "buffer-capped", wantedBytes, grantedBytes: this.bufferBytes };
  }

  /** From now on, events caused by the sockets of these port ids are not queued for us: the kernel drops them. */
  ignorePortIds(portIds: readonly number[]): Result<void, KernelError> {
    const answer = dropPortIds(this.fd, portIds);
    return answer < 0
      ? refuse(kernelError("leave out the events that our own commits cause", answer))
      : succeed(undefined);
  }

  /**
   * Whether events of new flows come. While nobody listens to them the kernel does not even make them, which is a third of
   * what a commit costs it (D-007). Who turned them off must read the table after they are on again.
   */
  hearNew(heard: boolean): void {
    setOption(this.fd, heard ? Option.NETLINK_ADD_MEMBERSHIP : Option.NETLINK_DROP_MEMBERSHIP, NFNLGRP_CONNTRACK_NEW);
  }

  /**
   * Datagrams of the next batch, of at most so many; what the last one brought is gone. -EAGAIN when none waits, -ENOBUFS when events were
   * lost (raises `overruns`), else -errno.
   */
  receive(eventsMax = BATCH_EVENTS): number {
    const count = this.#batch.receive(this.fd, eventsMax);
    this.#datagrams = Math.max(count, 0);
    this.#datagram = 0;
    this.#at = 0;
    this.#end = 0;
    if (count === -Errno.ENOBUFS) {
      this.overruns++;
      this.#growBuffer();
    }
    return count;
  }

  /** The next event of the batch, decoded into `flow`; EVENT_NONE when the batch is used up. */
  next(flow: Flow): EventKind {
    const view = this.#batch.view;
    for (;;) {
      while (this.#at + CTNETLINK_HEADER_BYTES > this.#end) {
        if (this.#at < this.#end) this.malformed++;
        if (!this.#nextDatagram()) return EVENT_NONE;
      }
      const at = this.#at;
      const lengthBytes = messageLength(view, at);
      if (lengthBytes < CTNETLINK_HEADER_BYTES || at + lengthBytes > this.#end) {
        this.malformed++;
        this.#at = this.#end;
        continue;
      }
      this.#at = at + align4(lengthBytes);
      const type = messageType(view, at);
      if (type !== CT_NEW && type !== CT_DELETE) this.unknown++;
      else if (decodeConntrack(view, at, at + lengthBytes, flow.words) !== DECODED) this.malformed++;
      else {
        this.received++;
        if (type === CT_DELETE) return EVENT_DESTROY;
        return (messageFlags(view, at) & NLM_F_CREATE) !== 0 ? EVENT_NEW : EVENT_UPDATE;
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  #nextDatagram(): boolean {
    while (this.#datagram < this.#datagrams) {
      const i = this.#datagram++;
      if (this.#batch.truncated(i)) {
        this.truncated++;
        continue;
      }
      this.#at = this.#batch.offset(i);
      this.#end = this.#at + this.#batch.length(i);
      return true;
    }
    return false;
  }

  #growBuffer(): void {
    if (this.bufferBytes >= this.#bufferMaxBytes) return;
    this.bufferBytes = setReceiveBuffer(this.fd, Math.min(this.bufferBytes * 2, this.#bufferMaxBytes));
  }
}
