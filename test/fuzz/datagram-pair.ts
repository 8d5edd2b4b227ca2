/** A pair of sockets that hand datagrams over whole, in this process: what is sent to one is received from the other. */
import { close } from "../../ffi/libc.ts";
import { load } from "../../ffi/load.ts";
import { pinned } from "../../ffi/memory.ts";
import { receive, SOCK_DGRAM, send } from "../../ffi/socket.ts";

const c = load("libc.so.6", "libc6", { socketpair: { args: ["i32", "i32", "i32", "buffer"], returns: "i32" } });
const AF_UNIX = 1;
const SOCK_NONBLOCK = 0o4000;
const LENGTH_MAX = 65_536;

export class DatagramPair {
  /** Where datagrams are received. */
  readonly fd: number;
  readonly #from: number;
  readonly #scratch = pinned(LENGTH_MAX);

  constructor() {
    const fds = new Int32Array(new ArrayBuffer(8));
    if (c.socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) < 0) throw new Error("no pair of sockets");
    this.#from = fds[0]!;
    this.fd = fds[1]!;
  }

  send(datagram: Uint8Array): void {
    this.#scratch.set(datagram);
    const sent = send(this.#from, this.#scratch, datagram.length);
    if (sent !== datagram.length) throw new Error(`sent ${sent} of ${datagram.length} bytes`);
  }

  /** Whatever still waits is gone. */
  drain(): void {
    while (receive(this.fd, this.#scratch) >= 0);
  }

  close(): void {
    close(this.fd);
    close(this.#from);
  }
}
