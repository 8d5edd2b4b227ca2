/**
 * A dump of the kernel's expectations, both families, in the portions that the kernel makes of it (32 KB at most).
 *
 * A portion must be used before anything else is read from the kernel: what ends afterwards is told by an event that is
 * still to come, what ended before is not in it.
 */
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { pinned } from "../../ffi/memory.ts";
import { receive } from "../../ffi/socket.ts";
import type { Expectation } from "../flow/expectation.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { decodeExpectationMessage } from "./decode-expectation.ts";
import { EXP_NEW } from "./expectation-attributes.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import {
  AF_UNSPEC,
  align4,
  ERROR_AT,
  messageLength,
  messageType,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

/** The kernel fills at most 32 KB at a time; a shorter buffer would cut messages off. */
const RECEIVE_BYTES = 65_536;
const OPERATION = "dump the kernel's expectations";

export class ExpectationDump {
  /** Nothing more comes. */
  done = false;
  readonly #socket: ConntrackSocket;
  readonly #bytes = pinned(RECEIVE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  static start(): Result<ExpectationDump, KernelError> {
    const socket = ConntrackSocket.openExpectations(0);
    if (typeof socket === "number") return refuse(kernelError(OPERATION, socket));
    setReceiveBuffer(socket.fd, RECEIVE_BYTES * 4);
    const answer = socket.requestDump(AF_UNSPEC);
    if (answer >= 0) return succeed(new ExpectationDump(socket));
    socket.close();
    return refuse(kernelError(OPERATION, answer));
  }

  private constructor(socket: ConntrackSocket) {
    this.#socket = socket;
  }

  /** The next portion, empty while the kernel has none ready. */
  next(): Result<readonly Expectation[], KernelError> {
    const lengthBytes = receive(this.#socket.fd, this.#bytes);
    if (lengthBytes === -Errno.EAGAIN || lengthBytes === -Errno.EINTR) return succeed([]);
    if (lengthBytes < 0) return refuse(kernelError(OPERATION, lengthBytes));
    if (lengthBytes > RECEIVE_BYTES) return refuse(kernelError(OPERATION, -Errno.EMSGSIZE));
    const portion: Expectation[] = [];
    for (let at = 0; at + NLMSG_HEADER_BYTES <= lengthBytes; ) {
      const end = at + messageLength(this.#view, at);
      if (end < at + NLMSG_HEADER_BYTES || end > lengthBytes) return refuse(kernelError(OPERATION, -Errno.EPROTO));
      const type = messageType(this.#view, at);
      if (type === NLMSG_DONE || type === NLMSG_ERROR) {
        const errno = end >= at + ERROR_AT + 4 ? this.#view.getInt32(at + ERROR_AT, true) : 0;
        if (errno < 0) return refuse(kernelError(OPERATION, errno));
        this.done = true;
        return succeed(portion);
      }
      if (type === EXP_NEW && at + CTNETLINK_HEADER_BYTES <= end) {
        const expectation = decodeExpectationMessage(this.#view, at, end);
        if (expectation !== undefined) portion.push(expectation);
      }
      at += align4(end - at);
    }
    return succeed(portion);
  }

  close(): void {
    this.#socket.close();
  }
}
