/**
 * A load of real packets: UDP datagrams, each to a port that none went to before, so that a firewall on their way makes a
 * new flow of each.
 *
 *   bun test/lab/forward.ts --count 60000 [--rate 20000|max] --to 198.51.100.1
 *
 * Run it in the namespace of a host. Past 60,000 the next address is taken. Nobody need answer.
 * Ends with one line of JSON: { "packets", "seconds" }.
 */
import { parseArgs } from "node:util";
import { EPOLLOUT, Epoll } from "../../ffi/epoll.ts";
import { Errno, errnoText } from "../../ffi/errno.ts";
import { SendBatch } from "../../ffi/send-batch.ts";
import { openSocket, SOCK_DGRAM } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import { Option, setOption } from "../../ffi/socket-options.ts";
import { parseAddress } from "../../src/config/address.ts";
import { pace } from "./pace.ts";

const PORTS_EACH = 60_000;
const FIRST_PORT = 1024;
const BATCH_PACKETS = 128;
const PAYLOAD_BYTES = 64;
const SEND_BUFFER_BYTES = 4_194_304;
const UDP = 17;

class Packets {
  readonly #fd: number;
  readonly #batch = new SendBatch(BATCH_PACKETS, PAYLOAD_BYTES);
  readonly #writable = new Epoll();
  readonly #to: number;

  constructor(to: number) {
    this.#to = to;
    this.#fd = openSocket(AF_INET, SOCK_DGRAM, UDP);
    if (this.#fd < 0) throw new Error(`no UDP socket: ${errnoText(this.#fd)}`);
    setOption(this.#fd, Option.SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
    this.#writable.add(this.#fd, 1, EPOLLOUT);
    for (let i = 0; i < BATCH_PACKETS; i++) this.#batch.setLength(i, PAYLOAD_BYTES);
  }

  /** Sends packets `from` to `to - 1`, at most a batch; each is sent once, however often the socket is full. */
  send(from: number, to: number): void {
    const count = to - from;
    for (let i = 0; i < count; i++) {
      const address = this.#to + Math.floor((from + i) / PORTS_EACH);
      this.#batch.setDestination(i, inetAddress(address, FIRST_PORT + ((from + i) % PORTS_EACH)));
    }
    for (let sent = 0; sent < count; ) {
      const taken = this.#batch.send(this.#fd, sent, count);
      if (taken > 0) sent += taken;
      else if (taken === -Errno.EAGAIN) this.#writable.wait(-1);
      else if (taken !== -Errno.ECONNREFUSED) throw new Error(`sendmmsg: ${errnoText(taken)}`);
    }
  }
}

function forward(): number {
  const { values } = parseArgs({
    options: { count: { type: "string" }, rate: { type: "string", default: "max" }, to: { type: "string" } },
  });
  const count = Number(values.count);
  const perSecond = values.rate === "max" ? Number.POSITIVE_INFINITY : Number(values.rate);
  const to = parseAddress(values.to ?? "");
  if (!(count > 0) || !(perSecond > 0) || !to.ok) {
    console.error("usage: forward.ts --count N [--rate N|max] --to ADDRESS");
    return 2;
  }
  const packets = new Packets(to.value.words[0]);
  const startMs = performance.now();
  pace(count, perSecond, (from, to) => {
    for (let next = from; next < to; next += BATCH_PACKETS) packets.send(next, Math.min(to, next + BATCH_PACKETS));
  });
  console.log(JSON.stringify({ packets: count, seconds: (performance.now() - startMs) / 1000 }));
  return 0;
}

process.exit(forward());
