/**
 * Many ctnetlink requests by one `sendto`, without acknowledgements: only what the kernel refuses answers.
 *
 *   batch.begin(type, flags, family) … batch.end()   appends one request, number `count - 1` of this batch
 *   batch.send()                                     the kernel works them off before the call returns
 *   batch.errno(i)                                   0: request i was taken
 *
 * A request's sequence number is its number in the batch, past a base that no earlier batch has used. An error carries
 * the refused request's header alone (NETLINK_CAP_ACK), so that errors of a whole batch fit the receive buffer; should
 * the kernel drop some nevertheless, `lost` says so, and the requests count as taken.
 */
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import { netlinkPortId, sendTo } from "../../ffi/socket.ts";
import { netlinkAddress } from "../../ffi/socket-address.ts";
import { Option, setOption } from "../../ffi/socket-options.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "./message-writer.ts";
import { ERROR_AT, ERROR_BYTES, messageType, NLMSG_ERROR, REFUSED_SEQUENCE_AT, SEQUENCE_AT } from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

/** Where a batch counts as full: longer ones are not worked off any faster. */
const FULL_BYTES = 32_768;
export const REQUESTS_MAX = 256;
/** A batch made again of other, longer requests may pass FULL_BYTES, and still fits. */
const BATCH_BYTES_MAX = REQUESTS_MAX * MESSAGE_BYTES_MAX;
/** An error takes about 1 KB of the kernel's accounting; a batch of nothing but errors must fit. */
const RECEIVE_BUFFER_BYTES = 2_097_152;
const ANSWERS_PER_RECEIVE = 64;
/** Of one without the refused request's attributes, with some room to spare. */
const ERROR_ANSWER_BYTES = 256;

const kernel = netlinkAddress(0, 0);

export class RequestBatch {
  readonly writer = new MessageWriter(BATCH_BYTES_MAX);
  /** What the kernel calls this socket: events of this port id are our own doing. */
  readonly portId: number;
  /** Requests in the batch. */
  count = 0;
  /** Times the kernel could not queue an error for us. */
  lost = 0;
  /** Where requests are answered by an entry of the table: the request's number, and where its message lies. */
  onEntry: ((i: number, view: DataView, at: number, end: number) => void) | undefined;

  readonly #socket: ConntrackSocket;
  readonly #answers: ReceiveBatch;
  readonly #errnos = new Int32Array(new ArrayBuffer(REQUESTS_MAX * 4));
  #base = 1;

  /** `operation` completes "cannot …" in the error; an answer may have `answerBytes`. */
  static open(operation: string, answerBytes = ERROR_ANSWER_BYTES): Result<RequestBatch, KernelError> {
    const socket = ConntrackSocket.open(0);
    if (typeof socket === "number") return refuse(kernelError(operation, socket));
    return succeed(new RequestBatch(socket, answerBytes));
  }

  private constructor(socket: ConntrackSocket, answerBytes: number) {
    this.#socket = socket;
    this.#answers = new ReceiveBatch(ANSWERS_PER_RECEIVE, answerBytes);
    this.portId = netlinkPortId(socket.fd);
    setOption(socket.fd, Option.NETLINK_CAP_ACK, 1);
    setReceiveBuffer(socket.fd, RECEIVE_BUFFER_BYTES);
    setOption(socket.fd, Option.SO_SNDBUFFORCE, 2 * BATCH_BYTES_MAX);
  }

  /** Whether one more request fits. */
  hasRoom(): boolean {
    return this.count < REQUESTS_MAX && this.writer.at + MESSAGE_BYTES_MAX <= FULL_BYTES;
  }

  begin(type: number, flags: number, addressFamily: number): void {
    this.writer.begin(type, flags, (this.#base + this.count) >>> 0, addressFamily);
  }

  end(): void {
    this.writer.end();
    this.#errnos[this.count++] = 0;
  }

  /** Empties the batch; the numbers of its requests are not used again. */
  clear(): void {
    this.#base = (this.#base + this.count) >>> 0;
    this.count = 0;
    this.writer.clear();
  }

  /** Sends the batch and reads every answer to it. 0, or -errno when nothing was sent. */
  send(): number {
    if (this.count === 0) return 0;
    const sent = sendTo(this.#socket.fd, this.writer.bytes, this.writer.at, kernel);
    if (sent < 0) return sent;
    for (;;) {
      const answers = this.#answers.receive(this.#socket.fd);
      if (answers === -Errno.EAGAIN) return 0;
      if (answers === -Errno.EINTR) continue;
      if (answers === -Errno.ENOBUFS) this.lost++;
      else if (answers < 0) return answers;
      for (let i = 0; i < answers; i++) this.#take(i);
    }
  }

  /** Positive errno of request i, 0 when the kernel took it. */
  errno(i: number): number {
    return this.#errnos[i];
  }

  close(): void {
    this.#socket.close();
  }

  #take(answer: number): void {
    const view = this.#answers.view;
    const at = this.#answers.offset(answer);
    const length = this.#answers.length(answer);
    if (length < ERROR_BYTES || this.#answers.truncated(answer)) return;
    if (messageType(view, at) !== NLMSG_ERROR) {
      const i = (view.getUint32(at + SEQUENCE_AT, true) - this.#base) >>> 0;
      if (i < this.count) this.onEntry?.(i, view, at, at + length);
      return;
    }
    const i = (view.getUint32(at + REFUSED_SEQUENCE_AT, true) - this.#base) >>> 0;
    if (i < this.count) this.#errnos[i] = -view.getInt32(at + ERROR_AT, true);
  }
}
