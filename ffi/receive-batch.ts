/**
 * Many datagrams or netlink messages by one `recvmmsg`. Signature: sys/socket.h.
 *
 * What `receive` brought is valid until the next `receive`. With `source`, each message's sender is read as numbers:
 * an IPv4 address is one word, an IPv6 address four, as in a `Flow`.
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { FLAGS_WORD, HEADER_WORDS, LENGTH_WORD, MessageHeaders } from "./message-headers.ts";
import { MSG_DONTWAIT, MSG_TRUNC } from "./socket.ts";
import { AF_INET } from "./socket-address.ts";

const c = load("libc.so.6", "libc6", {
  recvmmsg: { args: ["i32", "ptr", "u32", "i32", "ptr"], returns: "i32" },
});

export class ReceiveBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly #headers: MessageHeaders;
  readonly #words: Uint32Array;
  readonly #source: boolean;
  #received = 0;

  constructor(messagesMax: number, bytesEach: number, options: { readonly source?: boolean } = {}) {
    this.#source = options.source ?? false;
    this.#headers = new MessageHeaders(messagesMax, bytesEach, this.#source);
    this.#words = this.#headers.words;
    this.bytes = this.#headers.bytes;
    this.view = this.#headers.view;
  }

  /** How many messages came, without waiting, or -errno: -EAGAIN when none waits, -ENOBUFS when netlink lost some. */
  receive(fd: number, messagesMax = this.#headers.messagesMax): number {
    if (this.#source) this.#headers.offerNames(this.#received);
    const count = negative(c.recvmmsg(fd, this.#headers.header(0), messagesMax, MSG_DONTWAIT, null));
    this.#received = Math.max(count, 0);
    return count;
  }

  /** Where message i starts in `bytes` and `view`. */
  offset(i: number): number {
    return this.#headers.offset(i);
  }

  length(i: number): number {
    return this.#words[i * HEADER_WORDS + LENGTH_WORD];
  }

  /** The message was longer than its room: what is there is only its beginning. */
  truncated(i: number): boolean {
    return (this.#words[i * HEADER_WORDS + FLAGS_WORD] & MSG_TRUNC) !== 0;
  }

  /** AF_INET, AF_INET6 or AF_NETLINK. */
  sourceFamily(i: number): number {
    return this.#headers.namesView.getUint16(this.#headers.nameOffset(i), true);
  }

  sourcePort(i: number): number {
    return this.#headers.namesView.getUint16(this.#headers.nameOffset(i) + 2);
  }

  /** Word 0 to 3 of the sender's address; 1 to 3 are 0 for IPv4. */
  sourceWord(i: number, word: number): number {
    if (this.sourceFamily(i) !== AF_INET)
      return this.#headers.namesView.getUint32(this.#headers.nameOffset(i) + 8 + word * 4);
    return word === 0 ? this.#headers.namesView.getUint32(this.#headers.nameOffset(i) + 4) : 0;
  }

  /** Netlink: who sent it; 0 is the kernel, and anything else was planted. */
  sourcePortId(i: number): number {
    return this.#headers.namesView.getUint32(this.#headers.nameOffset(i) + 4, true);
  }
}
