/**
 * Records what a real kernel says over ctnetlink and rtnetlink, for tests that need such bytes without a kernel:
 *
 *   bun test/golden/ctnetlink/record.ts          as root; writes the three files beside this one
 *
 *   events.bin     new, update and destroy events: packets of each protocol through rules that translate, mark, label,
 *                  help and zone them, and entries inserted whole, then changed, then deleted (kernel-traffic.ts)
 *   dump.bin       the table between the last change and the deletion, as a dump of both families gives it
 *   addresses.bin  the answer to RTM_GETADDR, its end included: loopback, both families, a point-to-point link
 *
 * Each file holds netlink messages as they came, one behind the other, each padded to a multiple of 4 bytes. The ones here:
 * Linux 6.18, x86-64. This kernel tracks DCCP no more, so nothing of it is in them.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { close } from "../../../ffi/libc.ts";
import { ConntrackSocket } from "../../../ffi/libnetfilter-conntrack.ts";
import { pinned } from "../../../ffi/memory.ts";
import { openSocket, receive, SOCK_RAW, sendTo } from "../../../ffi/socket.ts";
import { AF_NETLINK, netlinkAddress } from "../../../ffi/socket-address.ts";
import { KernelCommit } from "../../../src/kernel/commit.ts";
import { KernelDelete } from "../../../src/kernel/delete.ts";
import { align4 } from "../../../src/kernel/netlink.ts";
import { inside } from "../../lab/enter.ts";
import { Lab } from "../../lab/lab.ts";
import type { Namespace } from "../../lab/namespace.ts";
import { opened, rawMessages, rawTable, unwrap } from "../../netns/kernel-table.ts";
import { EVERY_KIND, flowOf, RULES, sendPackets } from "../../netns/kernel-traffic.ts";

const EVERY_GROUP = 7;
const RTM_GETADDR = 22;
const NLM_F_REQUEST_DUMP = 0x301;

function write(name: string, messages: readonly Uint8Array[]): void {
  const padded = messages.map((message) => {
    const bytes = new Uint8Array(align4(message.length));
    bytes.set(message);
    return bytes;
  });
  writeFileSync(join(import.meta.dir, name), Buffer.concat(padded));
  console.log(`${name}: ${messages.length} messages`);
}

function addresses(namespace: Namespace): Uint8Array[] {
  return inside(namespace, () => {
    const fd = openSocket(AF_NETLINK, SOCK_RAW, 0);
    const bytes = pinned(65_536);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 24, true);
    view.setUint16(4, RTM_GETADDR, true);
    view.setUint16(6, NLM_F_REQUEST_DUMP, true);
    sendTo(fd, bytes, 24, netlinkAddress(0, 0));
    const datagrams: Uint8Array[] = [];
    for (let length = receive(fd, bytes); length > 0; length = receive(fd, bytes))
      datagrams.push(bytes.slice(0, length));
    close(fd);
    return datagrams;
  });
}

await using lab = await Lab.create();
const namespace = await lab.namespace("record");
await namespace.nft(RULES);
await namespace.ip(
  "link add one type veth peer name two",
  "address add 10.1.2.3/24 dev one",
  "address add 10.9.9.1 peer 10.9.9.2 dev two",
  "address add 2001:db8::5/64 dev two nodad",
);
const events = inside(namespace, () => opened(ConntrackSocket.open(EVERY_GROUP)));
const messages: Uint8Array[] = [];
sendPackets(namespace);
await namespace.exec(["ping", "-c1", "-W1", "127.0.0.1"]);
await namespace.exec(["ping", "-c1", "-W1", "::1"]);
const commit = inside(namespace, () => unwrap(KernelCommit.open()));
for (const timeoutSeconds of [300, 200]) {
  for (const [, wanted] of EVERY_KIND) {
    commit.add(flowOf(wanted), 0, timeoutSeconds);
    if (commit.flush() > 0) throw new Error("the kernel refused a flow");
  }
}
messages.push(...rawMessages(events.fd));
write("dump.bin", rawTable(namespace));
const deletion = inside(namespace, () => unwrap(KernelDelete.open()));
for (const [, wanted] of EVERY_KIND) deletion.add(flowOf(wanted), 0);
if (deletion.flush() > 0) throw new Error("the kernel did not delete a flow");
messages.push(...rawMessages(events.fd));
write("events.bin", messages);
write("addresses.bin", addresses(namespace));
for (const socket of [events, commit, deletion]) socket.close();
