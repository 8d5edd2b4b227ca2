/** Somebody on the sync link: writes down each datagram that comes to a machine, and can send it bytes in its peer's name. */
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, receive, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import { Option, setOption } from "../../ffi/socket-options.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";

const AF_PACKET = 17;
/** ETH_P_IP in network byte order. */
const IPV4_FRAMES = 0x0008;
const IPPROTO_UDP = 17;
const UDP_HEADER_BYTES = 8;
const BUFFER_BYTES = 64 << 20;
const PORT = 3780;

export class Recorder implements Disposable {
  readonly #fd: number;
  readonly #packet = new Uint8Array(new ArrayBuffer(65_536));
  readonly #taken: Uint8Array[] = [];

  /** Hears what comes to `namespace` over its sync link. */
  constructor(namespace: Namespace) {
    this.#fd = inside(namespace, () => openSocket(AF_PACKET, SOCK_DGRAM, IPV4_FRAMES));
    if (this.#fd < 0) throw new Error(`no packet socket: ${this.#fd}`);
    setOption(this.#fd, Option.SO_RCVBUFFORCE, BUFFER_BYTES);
  }

  /** Payloads of all sync datagrams so far, in their order. */
  datagrams(): readonly Uint8Array[] {
    const view = new DataView(this.#packet.buffer);
    for (let length = receive(this.#fd, this.#packet); length >= 0; length = receive(this.#fd, this.#packet)) {
      const udp = (view.getUint8(0) & 0x0f) * 4;
      if (view.getUint8(9) !== IPPROTO_UDP || view.getUint16(udp + 2) !== PORT) continue;
      this.#taken.push(this.#packet.slice(udp + UDP_HEADER_BYTES, udp + view.getUint16(udp + 4)));
    }
    return this.#taken;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** Sends datagrams from `from` of the namespace to `to`, both as numbers; every 50 at most, `between` is awaited. */
export async function inject(
  namespace: Namespace,
  from: number,
  to: number,
  datagrams: readonly Uint8Array[],
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const fd = inside(namespace, () => openSocket(AF_INET, SOCK_DGRAM, 0));
  try {
    const bound = bind(fd, inetAddress(from, 0));
    if (bound < 0) throw new Error(`bind answered ${bound}`);
    for (const [i, bytes] of datagrams.entries()) {
      const sent = sendTo(fd, bytes, bytes.length, inetAddress(to, PORT));
      if (sent !== bytes.length) throw new Error(`sendto answered ${sent}`);
      if (i % 50 === 49) await between();
    }
  } finally {
    close(fd);
  }
}
