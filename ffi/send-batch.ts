/**
 * Many datagrams by one `sendmmsg`. Signature: sys/socket.h.
 *
 * The caller writes datagram i at `offset(i)` of `bytes` or `view`, says its length, and, unless the socket is
 * connected, where it goes. Nothing is copied before the kernel does.
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { HEADER_WORDS, MessageHeaders, NAME_LENGTH_WORD } from "./message-headers.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "./socket.ts";
import type { SocketAddress } from "./socket-address.ts";

const c = load("libc.so.6", "libc6", {
  sendmmsg: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
});

export class SendBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly messagesMax: number;
  readonly #headers: MessageHeaders;

  constructor(messagesMax: number, bytesEach: number) {
    this.messagesMax = messagesMax;
    this.#headers = new MessageHeaders(messagesMax, bytesEach, true);
    this.bytes = this.#headers.bytes;
    this.view = this.#headers.view;
    for (let i = 0; i < messagesMax; i++) this.#headers.words[i * HEADER_WORDS + NAME_LENGTH_WORD] = 0;
  }

  /** Where datagram i starts in `bytes` and `view`; it may be as long as the `bytesEach` given at the start. */
  offset(i: number): number {
    return this.#headers.offset(i);
  }

  setLength(i: number, lengthBytes: number): void {
    if (lengthBytes > this.#headers.bytesEach)
      throw new Error(`datagram of ${lengthBytes} bytes in a slot of ${this.#headers.bytesEach}`);
    this.#headers.iovecWords[i * 4 + 2] = lengthBytes;
  }

  /** Where datagram i goes, from now on. Without one it goes to the peer the socket is connected to. */
  setDestination(i: number, destination: SocketAddress): void {
    this.#headers.names.set(destination.memory, this.#headers.nameOffset(i));
    this.#headers.words[i * HEADER_WORDS + NAME_LENGTH_WORD] = destination.memory.length;
  }

  /**
   * How many of datagrams `from` … `to - 1` the kernel took, or -errno when it took none: -EAGAIN when its buffer is
   * full, -ECONNREFUSED once for an earlier datagram that nobody listened for.
   */
  send(fd: number, from: number, to: number): number {
    return negative(c.sendmmsg(fd, this.#headers.header(from), to - from, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}
