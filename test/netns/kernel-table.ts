/** The whole table of a namespace: as the words of its flows, and as the messages it came in. */
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import * as f from "../../src/flow/flow.ts";
import { DUMP_DONE, DUMP_FLOW, KernelDump } from "../../src/kernel/dump.ts";
import type { KernelError } from "../../src/kernel/kernel-error.ts";
import { explain } from "../../src/kernel/kernel-error.ts";
import { align4, messageLength, messageType, NLMSG_DONE } from "../../src/kernel/netlink.ts";
import type { Result } from "../../src/result.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";

export function unwrap<T>(result: Result<T, KernelError>): T {
  if (!result.ok) throw new Error(explain(result.error));
  return result.value;
}

/** Read again when the table was resized meanwhile, as another lab may have it: a part of it is missing then. */
export function table(namespace: Namespace): Uint32Array[] {
  for (;;) {
    const dump = new KernelDump();
    const entries = readTable(namespace, dump);
    if (!dump.interrupted) return entries;
  }
}

function readTable(namespace: Namespace, dump: KernelDump): Uint32Array[] {
  unwrap(inside(namespace, () => dump.start()));
  const flow = new f.Flow();
  const entries: Uint32Array[] = [];
  let step = dump.next(flow);
  for (; step === DUMP_FLOW; step = dump.next(flow)) entries.push(flow.words.slice());
  if (step !== DUMP_DONE || dump.malformed > 0) throw new Error(`the dump ended with ${step}, errno ${dump.errno}`);
  return entries;
}

/** The entry with the flow's protocol, zone and original tuple. */
export function findEntry(entries: readonly Uint32Array[], flow: f.Flow): Uint32Array {
  const found = entries.find((entry) => entry.subarray(0, f.KEY_WORDS).every((word, i) => word === flow.words[i]));
  if (found === undefined) throw new Error("the kernel holds no such flow");
  return found;
}

export function opened(socket: ConntrackSocket | number): ConntrackSocket {
  if (typeof socket === "number") throw new Error(`the socket cannot be opened: ${socket}`);
  return socket;
}

/** A copy of every conntrack message that waits on a socket. */
export function rawMessages(fd: number): Uint8Array<ArrayBuffer>[] {
  const messages: Uint8Array<ArrayBuffer>[] = [];
  const batch = new ReceiveBatch(16, 65_536);
  for (let count = batch.receive(fd); count > 0; count = batch.receive(fd)) {
    for (let i = 0; i < count; i++) {
      const end = batch.offset(i) + batch.length(i);
      for (let at = batch.offset(i); at < end; at += align4(messageLength(batch.view, at))) {
        if (messageType(batch.view, at) === NLMSG_DONE) continue;
        messages.push(batch.bytes.slice(at, at + messageLength(batch.view, at)));
      }
    }
  }
  return messages;
}

export function rawTable(namespace: Namespace): Uint8Array<ArrayBuffer>[] {
  const socket = inside(namespace, () => opened(ConntrackSocket.open(0)));
  if (socket.requestDump(0) < 0) throw new Error("the kernel refused to dump its table");
  const messages = rawMessages(socket.fd);
  socket.close();
  return messages;
}
