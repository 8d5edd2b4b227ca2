/** UDP: a listener that says one word and is silent then, and a stream whose every datagram is sent back. */
import type { udp } from "bun";
import { type ClientKind, FRAME_BYTES } from "./traffic-protocol.ts";
import { nowMs, Stream } from "./traffic-stream.ts";
import type { Server } from "./traffic-tcp.ts";

const SEND_INTERVAL_MS = 10;

abstract class Datagrams extends Stream {
  readonly #server: Server;
  protected socket: udp.ConnectedSocket<"buffer"> | undefined;
  #came = 0;

  constructor(kind: ClientKind, number: number, server: Server) {
    super(kind, number);
    this.#server = server;
  }

  async open(): Promise<void> {
    this.socket = await Bun.udpSocket({
      connect: this.#server,
      socket: {
        data: () => {
          this.#came++;
          this.arrivals.came();
        },
        error: () => undefined, // Unreachable for now is no reason to stop.
      },
    });
    this.openedMs = nowMs();
    this.localPort = this.socket.port;
  }

  get ready(): boolean {
    return this.#came > 0;
  }

  terminate(): void {
    this.end("closed by us");
    this.socket?.close();
  }
}

export class Push extends Datagrams {
  override async open(): Promise<void> {
    await super.open();
    this.socket?.send("the one word");
  }
}

export class Echo extends Datagrams {
  readonly #datagram = new Uint8Array(FRAME_BYTES);
  #sending: NodeJS.Timeout | undefined;

  override async open(): Promise<void> {
    await super.open();
    this.#sending = setInterval(() => this.#send(), SEND_INTERVAL_MS);
  }

  override terminate(): void {
    clearInterval(this.#sending);
    super.terminate();
  }

  #send(): void {
    try {
      this.socket?.send(this.#datagram);
    } catch {
      // The same.
    }
  }
}
