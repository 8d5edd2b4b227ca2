/**
 * The bare receiver: takes conntrack events from the kernel as cheaply as a program can, and does nothing with them.
 *
 *   bun test/bench/limit/receiver.ts --buffer-bytes 16777216 --marks 30000,130000
 *
 * It reads in batches, and lets events gather for a millisecond while they stream, as ctsync's loop does. Run it inside a
 * namespace. Says "ready", and at each mark one line of JSON: { "events", "overruns" } so far. It ends at the last.
 */
import { parseArgs } from "node:util";
import { Epoll } from "../../../ffi/epoll.ts";
import { Errno } from "../../../ffi/errno.ts";
import { ConntrackSocket, GROUP_DESTROY, GROUP_NEW, GROUP_UPDATE } from "../../../ffi/libnetfilter-conntrack.ts";
import { ReceiveBatch } from "../../../ffi/receive-batch.ts";
import { setReceiveBuffer } from "../../../src/kernel/receive-buffer.ts";

const BATCH_EVENTS = 128;
const EVENT_BYTES_MAX = 1600;
const GATHER_MS = 1;

const { values } = parseArgs({
  options: { "buffer-bytes": { type: "string", default: "16777216" }, marks: { type: "string", default: "" } },
});
const marks = values.marks.split(",").map(Number);

const socket = ConntrackSocket.open(GROUP_NEW | GROUP_UPDATE | GROUP_DESTROY);
if (typeof socket === "number") throw new Error(`the event socket: errno ${-socket}`);
setReceiveBuffer(socket.fd, Number(values["buffer-bytes"]));
const batch = new ReceiveBatch(BATCH_EVENTS, EVENT_BYTES_MAX);
const waiting = new Epoll();
waiting.add(socket.fd, 1);
const gathering = new Epoll();
let events = 0;
let overruns = 0;

/** Empties the socket; how many events waited. */
function look(fd: number): number {
  let seen = 0;
  for (;;) {
    const count = batch.receive(fd);
    if (count === -Errno.ENOBUFS) overruns++;
    else if (count > 0) seen += count;
    if (count <= 0 && count !== -Errno.ENOBUFS) return seen;
  }
}

console.log("ready");
while (marks.length > 0) {
  waiting.wait(-1);
  for (let seen = look(socket.fd); seen > 0; seen = look(socket.fd)) {
    events += seen;
    for (; marks.length > 0 && events >= marks[0]; marks.shift()) console.log(JSON.stringify({ events, overruns }));
    gathering.wait(GATHER_MS);
  }
}
