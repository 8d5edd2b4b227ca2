/**
 * The takeover gate in the kernel: makes its table, shuts and opens it, mutes and unmutes this machine, removes the table.
 * Every change is one message that was encoded beforehand, and the kernel's answer is there when the call returns.
 */
import { Errno } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { pinned } from "../../ffi/memory.ts";
import { openSocket, receive, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_NETLINK, netlinkAddress } from "../../ffi/socket-address.ts";
import { type Result, refuse, succeed } from "../result.ts";
import {
  emptyGate,
  fillGate,
  GATE_COMMENT,
  GATE_TABLE,
  type GateScope,
  gateTable,
  HELD_COUNTER,
  removeGate,
  UNANSWERED_COUNTER,
} from "./gate-rules.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import {
  ATTRIBUTE_HEADER_BYTES,
  attributeEnd,
  attributeType,
  ERROR_AT,
  messageLength,
  messageType,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
  nextAttribute,
} from "./netlink.ts";
import {
  commentData,
  GETOBJ,
  GETTABLE,
  NFT_TABLE_F_OWNER,
  NFTA_COUNTER_PACKETS,
  NFTA_OBJ_DATA,
  NFTA_OBJ_NAME,
  NFTA_OBJ_TABLE,
  NFTA_OBJ_TYPE,
  NFTA_TABLE_FLAGS,
  NFTA_TABLE_NAME,
  NFTA_TABLE_USERDATA,
  nftRequest,
} from "./nftables.ts";

const NETLINK_NETFILTER = 12;
const NFGENMSG_BYTES = 4;
const ATTRIBUTES_AT = NLMSG_HEADER_BYTES + NFGENMSG_BYTES;
const RECEIVE_BYTES = 16_384;

const kernel = netlinkAddress(0, 0);

/** What became of an attempt to make the table. `taken`: one of this name is there, and is not ours. */
export type Installed = "ours" | "taken" | { readonly errno: number };

export class KernelGate {
  readonly #fd: number;
  #scope: GateScope;
  readonly #bytes = pinned(RECEIVE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #shut: Uint8Array<ArrayBuffer>;
  readonly #open = emptyGate("shut");
  readonly #mute: Uint8Array<ArrayBuffer>;
  readonly #unmute = emptyGate("mute");
  readonly #table = nftRequest(GETTABLE, (writer) => writer.text(NFTA_TABLE_NAME, GATE_TABLE));
  readonly #held = counterRequest(HELD_COUNTER);
  readonly #unanswered = counterRequest(UNANSWERED_COUNTER);
  /** The kernel removes the table when this process ends, and lets nobody else touch it. */
  owned = true;
  #installed = false;

  /** What is shut or mute is so for `forMs`. `owned` false: as on a kernel that knows no owners of tables. */
  static open(scope: GateScope, forMs: number, owned = true): Result<KernelGate, KernelError> {
    const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    if (fd < 0) return refuse(kernelError("open a socket for nftables", fd));
    return succeed(new KernelGate(fd, scope, forMs, owned));
  }

  private constructor(fd: number, scope: GateScope, forMs: number, owned: boolean) {
    this.#fd = fd;
    this.#scope = scope;
    this.#shut = fillGate("shut", forMs);
    this.#mute = fillGate("mute", forMs);
    this.owned = owned;
  }

  /** What it holds is logged. */
  get logs(): boolean {
    return this.#scope.logGroup > 0;
  }

  /** Makes the table, open. One that an earlier daemon left behind is replaced. */
  install(): Installed {
    const { owned } = this;
    let answer = this.#makeAsMayBe();
    if (this.logs && answer !== 0 && answer !== -Errno.EPERM && answer !== -Errno.EEXIST) {
      this.#scope = { ...this.#scope, logGroup: 0 };
      this.owned = owned;
      answer = this.#makeAsMayBe();
    }
    // Another living process owns it, or we may not even ask.
    if (answer === -Errno.EPERM) return this.#ask(this.#table) >= 0 ? "taken" : { errno: answer };
    if (answer === -Errno.EEXIST) {
      if (!this.#leftBehind()) return "taken";
      answer = this.#make(true);
    }
    this.#installed = answer === 0;
    return answer === 0 ? "ours" : { errno: answer };
  }

  /** From now on, for as long as `open` was told. 0 or -errno; -ENOENT when somebody removed the table. */
  shut(): number {
    return this.#change(this.#shut);
  }

  unbar(): number {
    return this.#change(this.#open);
  }

  /** As long as `shut`: TCP to a virtual address that is INVALID is answered by nobody. */
  mute(): number {
    return this.#change(this.#mute);
  }

  unmute(): number {
    return this.#change(this.#unmute);
  }

  /** Packets that were dropped, as it was shut, since the table was made, or -errno. */
  held(): number {
    return this.#packets(this.#held);
  }

  /** And those that were dropped, as it was mute. */
  unanswered(): number {
    return this.#packets(this.#unanswered);
  }

  /** Removes the table, if it is ours. */
  close(): void {
    if (this.#installed) this.#change(removeGate());
    close(this.#fd);
  }

  #packets(counter: Uint8Array<ArrayBuffer>): number {
    const answer = this.#ask(counter);
    if (answer < 0) return answer;
    const data = this.#attribute(NFTA_OBJ_DATA, ATTRIBUTES_AT, answer);
    if (data === undefined) return -Errno.EPROTO;
    const packets = this.#attribute(NFTA_COUNTER_PACKETS, data.from, data.to);
    if (packets === undefined || packets.to - packets.from !== 8) return -Errno.EPROTO;
    return this.#view.getUint32(packets.from) * 2 ** 32 + this.#view.getUint32(packets.from + 4);
  }

  /** Owned where the kernel knows owners. */
  #makeAsMayBe(): number {
    const answer = this.#make(false);
    if (!this.owned || (answer !== -Errno.EOPNOTSUPP && answer !== -Errno.EINVAL)) return answer;
    this.owned = false;
    return this.#make(false);
  }

  #make(replaces: boolean): number {
    return this.#change(gateTable(this.#scope, this.owned ? NFT_TABLE_F_OWNER : 0, replaces));
  }

  /** A table that bears our comment, and that no living process owns. */
  #leftBehind(): boolean {
    const answer = this.#ask(this.#table);
    if (answer < 0) return false;
    const flags = this.#attribute(NFTA_TABLE_FLAGS, ATTRIBUTES_AT, answer);
    const comment = this.#attribute(NFTA_TABLE_USERDATA, ATTRIBUTES_AT, answer);
    if (flags === undefined || comment === undefined) return false;
    if ((this.#view.getUint32(flags.from) & NFT_TABLE_F_OWNER) !== 0) return false;
    return Buffer.from(commentData(GATE_COMMENT)).equals(this.#bytes.subarray(comment.from, comment.to));
  }

  /** 0, or the first thing that the kernel did not like about it. */
  #change(batch: Uint8Array<ArrayBuffer>): number {
    const sent = sendTo(this.#fd, batch, batch.length, kernel);
    if (sent < 0) return sent;
    let errno = 0;
    for (;;) {
      const received = receive(this.#fd, this.#bytes);
      if (received === -Errno.EINTR) continue;
      if (received < 0) return received === -Errno.EAGAIN ? errno : received;
      if (errno === 0 && received >= ERROR_AT + 4 && messageType(this.#view, 0) === NLMSG_ERROR)
        errno = this.#view.getInt32(ERROR_AT, true);
    }
  }

  /** Where the answer ends in our buffer, or -errno. */
  #ask(request: Uint8Array<ArrayBuffer>): number {
    const sent = sendTo(this.#fd, request, request.length, kernel);
    if (sent < 0) return sent;
    const received = receive(this.#fd, this.#bytes);
    if (received < 0) return received;
    if (received < ATTRIBUTES_AT) return -Errno.EPROTO;
    if (messageType(this.#view, 0) === NLMSG_ERROR) return this.#view.getInt32(ERROR_AT, true) || -Errno.EPROTO;
    return Math.min(received, RECEIVE_BYTES, messageLength(this.#view, 0));
  }

  #attribute(type: number, from: number, end: number): { readonly from: number; readonly to: number } | undefined {
    for (let at = from; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
      const to = attributeEnd(this.#view, at, end);
      if (to < 0) return undefined;
      if (attributeType(this.#view, at) === type) return { from: at + ATTRIBUTE_HEADER_BYTES, to };
      at = nextAttribute(at, to);
    }
    return undefined;
  }
}

const counterRequest = (name: string): Uint8Array<ArrayBuffer> =>
  nftRequest(GETOBJ, (writer) => {
    writer.text(NFTA_OBJ_TABLE, GATE_TABLE);
    writer.text(NFTA_OBJ_NAME, name);
    writer.u32(NFTA_OBJ_TYPE, 1);
  });
