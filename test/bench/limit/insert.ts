/**
 * The kernel's limit of a commit: the same flows inserted in batches by a sender that has every message ready before the
 * clock starts, and asks for no answer but refusals.
 */
import { Errno } from "../../../ffi/errno.ts";
import { ConntrackSocket } from "../../../ffi/libnetfilter-conntrack.ts";
import { pinned } from "../../../ffi/memory.ts";
import { receive, sendTo } from "../../../ffi/socket.ts";
import { netlinkAddress } from "../../../ffi/socket-address.ts";
import { Option, setOption } from "../../../ffi/socket-options.ts";
import * as f from "../../../src/flow/flow.ts";
import { CT_NEW } from "../../../src/kernel/ctnetlink-attributes.ts";
import { encodeCreate } from "../../../src/kernel/encode-conntrack.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "../../../src/kernel/message-writer.ts";
import { AF_INET, NLM_F_CREATE, NLM_F_EXCL } from "../../../src/kernel/netlink.ts";
import { inside } from "../../lab/enter.ts";
import { type Shape, shapeFlow } from "../../lab/generate.ts";
import type { Namespace } from "../../lab/namespace.ts";

/** Longer batches are not worked off any faster. */
const BATCH_BYTES = 32_768;
const TIMEOUT_SECONDS = 3_600;
const SNAT: Shape = { l4proto: f.IPPROTO_TCP, ipv6: false, snat: true, mark: 0 };

/** Inserts `flows` SNAT flows into the namespace's table; the seconds that the kernel was at work. */
export function bareInsert(namespace: Namespace, flows: number): number {
  const batches = encodeBatches(flows);
  return inside(namespace, () => {
    const socket = ConntrackSocket.open(0);
    if (typeof socket === "number") throw new Error(`no ctnetlink socket: ${socket}`);
    try {
      setOption(socket.fd, Option.SO_SNDBUFFORCE, 8 * BATCH_BYTES);
      return send(socket.fd, batches);
    } finally {
      socket.close();
    }
  });
}

function send(fd: number, batches: readonly Uint8Array[]): number {
  const kernel = netlinkAddress(0, 0);
  const startMs = performance.now();
  for (const batch of batches) {
    const sent = sendTo(fd, batch, batch.length, kernel);
    if (sent < 0) throw new Error(`the kernel took no batch: ${sent}`);
  }
  const seconds = (performance.now() - startMs) / 1000;
  if (receive(fd, pinned(4096)) !== -Errno.EAGAIN) throw new Error("the kernel refused a flow of the bare insert");
  return seconds;
}

function encodeBatches(flows: number): Uint8Array[] {
  const writer = new MessageWriter(BATCH_BYTES);
  const flow = new f.Flow();
  const batches: Uint8Array[] = [];
  for (let i = 0; i < flows; i++) {
    if (writer.at + MESSAGE_BYTES_MAX > BATCH_BYTES) {
      batches.push(writer.bytes.slice(0, writer.at));
      writer.clear();
    }
    shapeFlow(flow, i, SNAT);
    writer.begin(CT_NEW, NLM_F_CREATE | NLM_F_EXCL, i, AF_INET);
    encodeCreate(writer, flow.words, TIMEOUT_SECONDS, 0);
    writer.end();
  }
  batches.push(writer.bytes.slice(0, writer.at));
  return batches;
}
