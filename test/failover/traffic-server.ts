/**
 * The server of a host: it answers requests after a moment's thought, streams a bulk transfer as fast as it is taken, sends
 * datagrams back, and pushes others to whoever asked for them once.
 *
 *   bun test/failover/traffic-server.ts      says "ready"
 */
import type { Socket } from "bun";
import { tellPauses } from "./traffic-pauses.ts";
import {
  BULK_PORT,
  ECHO_PORT,
  FRAME_BYTES,
  LATE_PORT,
  PUSH_INTERVAL_MS,
  PUSH_PORT,
  TALK_IPV6_PORT,
  TALK_PORT,
  thinkMs,
} from "./traffic-protocol.ts";

const BULK_WORDS = 16_384;

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

for (const [hostname, port] of [
  ["0.0.0.0", TALK_PORT],
  ["0.0.0.0", LATE_PORT],
  ["::", TALK_IPV6_PORT],
] as const) {
  Bun.listen<Talk>({
    ...{ hostname, port },
    socket: {
      open: (socket) => {
        socket.data = { rest: new Uint8Array(0) };
        socket.setNoDelay(true);
      },
      data: answer,
      error: () => undefined,
    },
  });
}

interface Bulk {
  /** What comes next: this byte of this number. */
  word: number;
  part: number;
}

/** Numbers are counted as far as the socket took them. */
function pour(socket: Socket<Bulk>): void {
  const words = new Uint32Array(BULK_WORDS);
  for (;;) {
    const { word, part } = socket.data;
    for (let at = 0; at < BULK_WORDS; at++) words[at] = word + at;
    const bytes = new Uint8Array(words.buffer).subarray(part);
    const taken = socket.write(bytes);
    if (taken <= 0) return;
    socket.data = { word: (word + Math.floor((part + taken) / 4)) >>> 0, part: (part + taken) % 4 };
    if (taken < bytes.length) return;
  }
}

Bun.listen<Bulk>({
  hostname: "0.0.0.0",
  port: BULK_PORT,
  socket: {
    open: (socket) => {
      socket.data = { word: 0, part: 0 };
      pour(socket);
    },
    drain: pour,
    data: () => undefined,
    error: () => undefined,
  },
});

await Bun.udpSocket({
  hostname: "0.0.0.0",
  port: ECHO_PORT,
  socket: {
    data: (socket, bytes, port, address) => {
      try {
        socket.send(bytes, port, address);
      } catch {
        // Unreachable for now is no reason to stop.
      }
    },
    error: () => undefined,
  },
});

let listener: { port: number; address: string } | undefined;
let pushed = 0;
const push = await Bun.udpSocket({
  hostname: "0.0.0.0",
  port: PUSH_PORT,
  socket: {
    data: (_, __, port, address) => {
      listener = { port, address };
    },
    error: () => undefined,
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

tellPauses();
console.log("ready");
