/**
 * The kernel's expectations as they begin and end, on a socket of their own: a burst of them and a burst of flows do not
 * push each other out. The kernel reports no changes, as nothing changes one.
 */
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket, GROUP_EXP_DESTROY, GROUP_EXP_NEW } from "../../ffi/libnetfilter-conntrack.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import { dropPortIds } from "../../ffi/socket-filter.ts";
import type { Expectation } from "../flow/expectation.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { decodeExpectationMessage } from "./decode-expectation.ts";
import { EXP_DELETE, EXP_NEW } from "./expectation-attributes.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import { align4, messageLength, messageType } from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

const BATCH_EVENTS = 32;
/** The longest, IPv6 behind NAT, takes under 500 bytes. */
const EVENT_BYTES_MAX = 1600;
/** Room for about a thousand, each of which the kernel counts as twice its length and more. */
const BUFFER_BYTES = 2_097_152;

export type ExpectationVisitor = (began: boolean, expectation: Expectation) => void;

export class ExpectationEvents {
  readonly fd: number;
  received = 0;
  malformed = 0;
  /** Times the kernel dropped events because the buffer was full. */
  overruns = 0;
  readonly #socket: ConntrackSocket;
  readonly #batch = new ReceiveBatch(BATCH_EVENTS, EVENT_BYTES_MAX);

  static open(): Result<ExpectationEvents, KernelError> {
    const socket = ConntrackSocket.openExpectations(GROUP_EXP_NEW | GROUP_EXP_DESTROY);
    if (typeof socket === "number") return refuse(kernelError("follow the kernel's expectations", socket));
    return succeed(new ExpectationEvents(socket));
  }

  private constructor(socket: ConntrackSocket) {
    this.#socket = socket;
    this.fd = socket.fd;
    setReceiveBuffer(this.fd, BUFFER_BYTES);
  }

  /** From now on, events caused by the sockets of these port ids are not queued for us. */
  ignorePortIds(portIds: readonly number[]): Result<void, KernelError> {
    const answer = dropPortIds(this.fd, portIds);
    return answer < 0
      ? refuse(kernelError("leave out the expectations that we put into the kernel", answer))
      : succeed(undefined);
  }

  /** Reads one batch. "more": another may wait; "overrun": the kernel dropped events, and more wait maybe. */
  receive(visit: ExpectationVisitor): "drained" | "more" | "overrun" {
    const count = this.#batch.receive(this.fd);
    if (count === -Errno.ENOBUFS) {
      this.overruns++;
      return "overrun";
    }
    if (count <= 0) return "drained";
    for (let i = 0; i < count; i++) {
      if (this.#batch.truncated(i)) this.malformed++;
      else this.#datagram(this.#batch.offset(i), this.#batch.offset(i) + this.#batch.length(i), visit);
    }
    return count < BATCH_EVENTS ? "drained" : "more";
  }

  close(): void {
    this.#socket.close();
  }

  #datagram(at: number, end: number, visit: ExpectationVisitor): void {
    const view = this.#batch.view;
    while (at < end) {
      const lengthBytes = at + CTNETLINK_HEADER_BYTES > end ? 0 : messageLength(view, at);
      if (lengthBytes < CTNETLINK_HEADER_BYTES || at + lengthBytes > end) {
        this.malformed++;
        return;
      }
      const type = messageType(view, at);
      const known = type === EXP_NEW || type === EXP_DELETE;
      const expectation = known ? decodeExpectationMessage(view, at, at + lengthBytes) : undefined;
      if (expectation === undefined) this.malformed++;
      else {
        this.received++;
        visit(type === EXP_NEW, expectation);
      }
      at += align4(lengthBytes);
    }
  }
}
