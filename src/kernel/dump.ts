/**
 * A dump of the kernel's table, both address families, in slices: the caller takes as many flows a turn as it likes and
 * goes on later where it stopped. The kernel makes a portion of 32 KB when the one before is received, so what is read
 * now is as old as the last-but-one `receive`, and events since then are newer.
 *
 *   dump.start();                     the kernel makes the first 32 KB
 *   while ((step = dump.next(flow)) === DUMP_FLOW) …      DUMP_WAIT: nothing yet, watch `fd` and come back
 *
 * A dump is not atomic: an entry missing from one dump is not proof that it is gone. A table whose number of buckets
 * changes meanwhile is dumped with most entries missing, or twice, and the kernel does not say so: hence we compare that
 * number at both ends (`interrupted`). Source: netlink(7), NLM_F_DUMP, NLM_F_DUMP_INTR; measured on Linux 6.18.
 */
import { conntrackBuckets } from "../../ffi/conntrack-table.ts";
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { pinned } from "../../ffi/memory.ts";
import { receive } from "../../ffi/socket.ts";
import type { Flow } from "../flow/flow.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { DECODED, decodeConntrack } from "./ctnetlink.ts";
import { CT_NEW, CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import {
  AF_UNSPEC,
  align4,
  ERROR_AT,
  messageFlags,
  messageLength,
  messageType,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

export const DUMP_FLOW = 0;
export const DUMP_WAIT = 1;
export const DUMP_DONE = 2;
/** The dump ended early; `errno` says why. Start again. */
export const DUMP_FAILED = 3;
export type DumpStep = typeof DUMP_FLOW | typeof DUMP_WAIT | typeof DUMP_DONE | typeof DUMP_FAILED;

/** The kernel fills at most 32 KB at a time; a shorter buffer would cut messages off. */
const RECEIVE_BYTES = 65_536;
const OPERATION = "dump the kernel's conntrack table";

export class KernelDump {
  fd = -1;
  /** The table was resized during this dump: it may lack flows, or hold some twice. */
  interrupted = false;
  /** Entries of this dump that could not be decoded. */
  malformed = 0;
  errno = 0;
  /** A portion was received: the kernel has made the next one at this moment. */
  onPortion: (() => void) | undefined;

  readonly #bytes = pinned(RECEIVE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #socket: ConntrackSocket | undefined;
  #at = 0;
  #end = 0;
  #buckets = 0;

  get running(): boolean {
    return this.#socket !== undefined;
  }

  /** Asks the kernel for its table; a dump that still runs is given up. */
  start(): Result<void, KernelError> {
    this.stop();
    this.#buckets = conntrackBuckets();
    const socket = ConntrackSocket.open(0);
    if (typeof socket === "number") return refuse(kernelError(OPERATION, socket));
    setReceiveBuffer(socket.fd, RECEIVE_BYTES * 4);
    const answer = socket.requestDump(AF_UNSPEC);
    if (answer < 0) {
      socket.close();
      return refuse(kernelError(OPERATION, answer));
    }
    this.#socket = socket;
    this.fd = socket.fd;
    this.interrupted = false;
    this.malformed = 0;
    this.errno = 0;
    this.#at = 0;
    this.#end = 0;
    return succeed(undefined);
  }

  /** The next entry, decoded into `flow`, or why there is none. After DUMP_DONE and DUMP_FAILED the socket is closed. */
  next(flow: Flow): DumpStep {
    if (this.#socket === undefined) return DUMP_DONE;
    const view = this.#view;
    for (;;) {
      if (this.#at + NLMSG_HEADER_BYTES > this.#end) {
        if (this.#at < this.#end) this.malformed++;
        this.#at = this.#end;
        const lengthBytes = receive(this.fd, this.#bytes);
        if (lengthBytes === -Errno.EAGAIN || lengthBytes === -Errno.EINTR) return DUMP_WAIT;
        if (lengthBytes < 0) return this.#fail(-lengthBytes);
        if (lengthBytes > RECEIVE_BYTES) return this.#fail(Errno.EMSGSIZE);
        this.onPortion?.();
        this.#at = 0;
        this.#end = lengthBytes;
        continue;
      }
      const at = this.#at;
      const lengthBytes = messageLength(view, at);
      if (lengthBytes < NLMSG_HEADER_BYTES || at + lengthBytes > this.#end) return this.#fail(Errno.EPROTO);
      this.#at = at + align4(lengthBytes);
      if ((messageFlags(view, at) & NLM_F_DUMP_INTR) !== 0) this.interrupted = true;
      const type = messageType(view, at);
      if (type === NLMSG_DONE || type === NLMSG_ERROR) return this.#finish(at, lengthBytes, type);
      if (type !== CT_NEW) continue;
      if (lengthBytes < CTNETLINK_HEADER_BYTES) this.malformed++;
      else if (decodeConntrack(view, at, at + lengthBytes, flow.words) === DECODED) return DUMP_FLOW;
      else this.malformed++;
    }
  }

  /** Gives up; harmless when nothing runs. */
  stop(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.fd = -1;
  }

  /** Both end messages may carry a negative errno; an error that carries none is no answer to a dump. */
  #finish(at: number, lengthBytes: number, type: number): DumpStep {
    const carries = lengthBytes >= ERROR_AT + 4;
    const errno = carries ? -this.#view.getInt32(at + ERROR_AT, true) : 0;
    if (errno !== 0 || type === NLMSG_ERROR) return this.#fail(errno || Errno.EPROTO);
    this.stop();
    if (conntrackBuckets() !== this.#buckets) this.interrupted = true;
    return DUMP_DONE;
  }

  #fail(errno: number): DumpStep {
    this.stop();
    this.errno = errno;
    return DUMP_FAILED;
  }
}
