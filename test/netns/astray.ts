/** Packets of connections that nobody knows, and what a namespace's IP stack counts of its answers to them. */
import { close } from "../../ffi/libc.ts";
import { openSocket, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../src/flow/flow.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";

const [TCP_BYTES, UDP_BYTES] = [20, 8];
const [SERVER_PORT, CLIENT_PORT] = [80, 40_000];
const ACK = 0x10;

/** `count` of TCP amid their connections, then as many of UDP, one a connection, as a server's answers. */
export function packetsAstray(from: Namespace, source: string, target: string, count: number): void {
  const address = inetAddress(wordOf(target), 0);
  const packet = (lengthBytes: number, i: number): DataView => {
    const view = new DataView(new ArrayBuffer(lengthBytes));
    view.setUint16(0, SERVER_PORT);
    view.setUint16(2, CLIENT_PORT + i);
    return view;
  };
  const send = (protocol: number, make: (i: number) => DataView): void => {
    const fd = inside(from, () => openSocket(AF_INET, SOCK_RAW, protocol));
    for (let i = 0; i < count; i++) {
      const view = make(i);
      const sent = sendTo(fd, new Uint8Array(view.buffer), view.byteLength, address);
      if (sent !== view.byteLength) throw new Error(`a packet to ${target} was not sent (${sent})`);
    }
    close(fd);
  };
  send(IPPROTO_TCP, (i) => {
    const view = packet(TCP_BYTES, i);
    view.setUint32(4, 1_000); // sequence, then what is acknowledged
    view.setUint32(8, 2_000);
    view.setUint16(12, ((TCP_BYTES / 4) << 12) | ACK);
    view.setUint16(14, 1_000);
    view.setUint16(16, tcpChecksum(view, wordOf(source), wordOf(target)));
    return view;
  });
  send(IPPROTO_UDP, (i) => {
    const view = packet(UDP_BYTES, i);
    view.setUint16(4, UDP_BYTES); // Without a checksum, as IPv4 allows.
    return view;
  });
}

const wordOf = (address: string): number => address.split(".").reduce((word, part) => word * 256 + Number(part), 0);

function tcpChecksum(view: DataView, from: number, to: number): number {
  let sum = IPPROTO_TCP + view.byteLength;
  for (const word of [from, to]) sum += (word >>> 16) + (word & 0xffff);
  for (let at = 0; at < view.byteLength; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  return ~sum & 0xffff;
}

/** One of the counters of a namespace's IP stack, by nstat's name. */
export async function counted(namespace: Namespace, name: string): Promise<number> {
  const found = new RegExp(`^${name}\\s+(\\d+)`, "m").exec(await namespace.run(["nstat", "-asz"]));
  if (found === null) throw new Error(`nstat knows no ${name}`);
  return Number(found[1]);
}
