/**
 * The server on host B: it answers requests after a moment's thought, streams a bulk transfer, and pushes datagrams to
 * whoever asked for them once.
 *
 *   bun test/failover/traffic-server.ts      says "ready"
 */
import type { Socket } from "bun";
import { BULK_PORT, FRAME_BYTES, PUSH_INTERVAL_MS, PUSH_PORT, TALK_PORT, thinkMs } from "./traffic-protocol.ts";

const BULK_WORDS = 4096;
const BULK_INTERVAL_MS = 10;

/** Frames may come in parts: what is left of one waits here. */
interface Talk {
  rest: Uint8Array;
}

function answer(socket: Socket<Talk>, chunk: Uint8Array): void {
  const bytes = socket.data.rest.length === 0 ? new Uint8Array(chunk) : Buffer.concat([socket.data.rest, chunk]);
  const whole = bytes.length - (bytes.length % FRAME_BYTES);
  socket.data.rest = bytes.slice(whole);
  if (whole > 0) setTimeout(() => socket.write(bytes.subarray(0, whole)), thinkMs());
}

Bun.listen<Talk>({
  hostname: "0.0.0.0",
  port: TALK_PORT,
  socket: {
    open: (socket) => {
      socket.data = { rest: new Uint8Array(0) };
      socket.setNoDelay(true);
    },
    data: answer,
    error: () => undefined,
  },
});

/** `next` counts words sent; what the socket did not take is made anew, so the count is of what it took. */
interface Bulk {
  sentBytes: number;
}

const bulks = new Set<Socket<Bulk>>();
Bun.listen<Bulk>({
  hostname: "0.0.0.0",
  port: BULK_PORT,
  socket: {
    open: (socket) => {
      socket.data = { sentBytes: 0 };
      bulks.add(socket);
    },
    data: () => undefined,
    close: (socket) => void bulks.delete(socket),
    error: (socket) => void bulks.delete(socket),
  },
});
setInterval(() => {
  for (const socket of bulks) {
    const { sentBytes } = socket.data;
    const words = Uint32Array.from({ length: BULK_WORDS + 1 }, (_, at) => (sentBytes >>> 2) + at);
    const part = sentBytes % 4;
    const taken = socket.write(new Uint8Array(words.buffer).subarray(part, part + BULK_WORDS * 4));
    if (taken > 0) socket.data.sentBytes += taken;
  }
}, BULK_INTERVAL_MS);

let listener: { port: number; address: string } | undefined;
let pushed = 0;
const push = await Bun.udpSocket({
  hostname: "0.0.0.0",
  port: PUSH_PORT,
  socket: {
    data: (_, __, port, address) => {
      listener = { port, address };
    },
    error: () => undefined, // Unreachable for now is no reason to stop.
  },
});
const datagram = new DataView(new ArrayBuffer(FRAME_BYTES));
setInterval(() => {
  if (listener === undefined) return;
  datagram.setUint32(0, ++pushed);
  try {
    push.send(datagram, listener.port, listener.address);
  } catch {
    // The same.
  }
}, PUSH_INTERVAL_MS);

console.log("ready");
