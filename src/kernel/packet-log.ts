/**
 * Packets that nftables logs to a group of nfnetlink_log (`log group N`): their tuples, one by one.
 *
 *   struct nfgenmsg             family, version, group (big-endian), then attributes; NFULA_PAYLOAD is the IP packet
 *   nfulnl_msg_config_cmd       byte 0 command
 *   nfulnl_msg_config_mode      byte 0 how much of a packet (big-endian), 4 copy mode, 5 padding
 *
 * The kernel sends each at once, and forgets those for which the socket has no room: whoever waits sends again.
 * Source: linux/netfilter/nfnetlink_log.h, linux/netfilter/nfnetlink.h.
 */
import { Errno } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { pinned } from "../../ffi/memory.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import { openSocket, receive, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_NETLINK, netlinkAddress } from "../../ffi/socket-address.ts";
import { Option, setOption } from "../../ffi/socket-options.ts";
import { CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { decodePacket } from "./decode-packet.ts";
import { MessageWriter } from "./message-writer.ts";
import {
  ATTRIBUTE_HEADER_BYTES,
  align4,
  attributeEnd,
  attributeType,
  ERROR_AT,
  messageLength,
  messageType,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
  nextAttribute,
} from "./netlink.ts";
import { setReceiveBuffer } from "./receive-buffer.ts";

const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_ULOG = 4;
const PACKET = NFNL_SUBSYS_ULOG << 8;
const CONFIG = (NFNL_SUBSYS_ULOG << 8) | 1;
const NLM_F_ACK = 4;

const NFULA_PAYLOAD = 9;
const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_NLBUFSIZ = 3;
const NFULA_CFG_TIMEOUT = 4;
const NFULA_CFG_QTHRESH = 5;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;

/** Of each packet: addresses and ports behind what options there usually are. */
export const SNAPLEN_BYTES = 128;
/** The kernel's buffer for a message: it counts as a whole against the socket's. */
const MESSAGE_BYTES = 512;
const RECEIVE_BUFFER_BYTES = 1_048_576;
const BATCH = 32;

const kernel = netlinkAddress(0, 0);

export class PacketLog {
  /** Packets whose tuple was told. */
  packets = 0;
  /** Fragments, errors of ICMP, what was cut off, and messages that are none. */
  unreadable = 0;
  readonly #fd: number;
  readonly #batch = new ReceiveBatch(BATCH, MESSAGE_BYTES);
  #datagrams = 0;
  #datagram = 0;
  #at = 0;
  #end = 0;

  /** -errno: -EPERM where somebody else has the group (or we no right to), others where the kernel has no such log. */
  static open(group: number): PacketLog | number {
    const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    if (fd < 0) return fd;
    setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
    setOption(fd, Option.NETLINK_NO_ENOBUFS, 1);
    const answer = configure(fd, group);
    if (answer === 0) return new PacketLog(fd);
    close(fd);
    return answer;
  }

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** The next packet's tuple, into words 0 to 9; false when none waits. */
  next(words: Uint32Array): boolean {
    const { view } = this.#batch;
    for (;;) {
      while (this.#at + CTNETLINK_HEADER_BYTES > this.#end) if (!this.#nextDatagram()) return false;
      const at = this.#at;
      const end = at + messageLength(view, at);
      if (end < at + CTNETLINK_HEADER_BYTES || end > this.#end) {
        this.#at = this.#end;
        this.unreadable++;
        continue;
      }
      this.#at = at + align4(end - at);
      if (messageType(view, at) === PACKET && decodeLogged(view, at, end, words)) {
        this.packets++;
        return true;
      }
      if (messageType(view, at) !== NLMSG_DONE) this.unreadable++;
    }
  }

  close(): void {
    close(this.#fd);
  }

  #nextDatagram(): boolean {
    for (;;) {
      if (this.#datagram >= this.#datagrams) {
        this.#datagram = 0;
        this.#datagrams = Math.max(0, this.#batch.receive(this.#fd));
        if (this.#datagrams === 0) return false;
      }
      const i = this.#datagram++;
      if (this.#batch.truncated(i)) {
        this.unreadable++;
        continue;
      }
      this.#at = this.#batch.offset(i);
      this.#end = this.#at + this.#batch.length(i);
      return true;
    }
  }
}

/** Of the message in [at, end): the packet that it carries. */
export function decodeLogged(view: DataView, at: number, end: number, words: Uint32Array): boolean {
  let attribute = at + CTNETLINK_HEADER_BYTES;
  while (attribute + ATTRIBUTE_HEADER_BYTES <= end) {
    const attributeTo = attributeEnd(view, attribute, end);
    if (attributeTo < 0) return false;
    if (attributeType(view, attribute) === NFULA_PAYLOAD)
      return decodePacket(view, attribute + ATTRIBUTE_HEADER_BYTES, attributeTo, words);
    attribute = nextAttribute(attribute, attributeTo);
  }
  return false;
}

/** Makes the group this socket's. 0 or -errno. */
function configure(fd: number, group: number): number {
  const writer = new MessageWriter(128);
  writer.begin(CONFIG, NLM_F_ACK, 1, ((group & 0xff) << 24) | ((group >>> 8) << 16)); // Big-endian, behind the family.
  writer.u8(NFULA_CFG_CMD, NFULNL_CFG_CMD_BIND);
  writer.raw(NFULA_CFG_MODE, [0, 0, 0, SNAPLEN_BYTES, NFULNL_COPY_PACKET, 0]);
  writer.u32(NFULA_CFG_NLBUFSIZ, MESSAGE_BYTES);
  writer.u32(NFULA_CFG_TIMEOUT, 1);
  writer.u32(NFULA_CFG_QTHRESH, 1);
  writer.end();
  const sent = sendTo(fd, writer.bytes, writer.at, kernel);
  if (sent < 0) return sent;
  const bytes = pinned(MESSAGE_BYTES);
  const view = new DataView(bytes.buffer);
  // Packets may come before the acknowledgement does.
  for (;;) {
    const received = receive(fd, bytes);
    if (received === -Errno.EINTR) continue;
    if (received < 0) return received;
    if (received < ERROR_AT + 4 || received < NLMSG_HEADER_BYTES) continue;
    if (messageType(view, 0) === NLMSG_ERROR) return view.getInt32(ERROR_AT, true);
  }
}
