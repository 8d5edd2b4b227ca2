/** TCP: connections that ask, wait for the answer, check it and ask again; and a transfer as fast as the line allows. */
import type { Socket } from "bun";
import { type ClientKind, FRAME_BYTES, thinkMs } from "./traffic-protocol.ts";
import { nowMs, Stream } from "./traffic-stream.ts";

export interface Server {
  readonly hostname: string;
  readonly port: number;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

export class Talk extends Stream {
  readonly #server: Server;
  #socket: Socket | undefined;
  #asked = 0;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(kind: ClientKind, number: number, server: Server) {
    super(kind, number);
    this.#server = server;
  }

  async open(): Promise<void> {
    await Bun.connect({
      ...this.#server,
      socket: {
        open: (socket) => {
          this.openedMs = nowMs();
          socket.setNoDelay(true);
          this.#socket = socket;
          this.localPort = socket.localPort;
          if (this.fate !== "") socket.terminate();
          this.#ask();
        },
        data: (_, chunk) => this.#take(chunk),
        close: (_, error) => this.end(error === undefined ? "closed" : codeOf(error)),
        error: (_, error) => this.end(codeOf(error)),
        connectError: (_, error) => this.end(`connect ${codeOf(error)}`),
      },
    }).catch(() => undefined);
  }

  get ready(): boolean {
    return this.#asked > 1;
  }

  terminate(): void {
    this.end("reset by us");
    this.#socket?.terminate();
  }

  #ask(): void {
    if (this.fate !== "") return;
    const frame = new DataView(new ArrayBuffer(FRAME_BYTES));
    frame.setUint32(0, ++this.#asked);
    frame.setUint32(4, this.number);
    this.#socket?.write(frame);
  }

  #take(chunk: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? new Uint8Array(chunk) : Buffer.concat([this.#rest, chunk]);
    this.#rest = bytes;
    if (bytes.length < FRAME_BYTES) return;
    const frame = new DataView(bytes.buffer, bytes.byteOffset);
    const isAnswer = frame.getUint32(0) === this.#asked && frame.getUint32(4) === this.number;
    if (!isAnswer || bytes.length > FRAME_BYTES) {
      this.end("a wrong answer");
      return;
    }
    this.#rest = new Uint8Array(0);
    this.arrivals.came();
    setTimeout(() => this.#ask(), thinkMs());
  }
}

/** Numbers that count up: any that is missing, doubled or wrong ends it. */
export class Bulk extends Stream {
  readonly #server: Server;
  #socket: Socket | undefined;
  /** What comes next: this byte of this number. */
  #word = 0;
  #shift = 0;

  constructor(kind: ClientKind, number: number, server: Server) {
    super(kind, number);
    this.#server = server;
  }

  async open(): Promise<void> {
    await Bun.connect({
      ...this.#server,
      socket: {
        open: (socket) => {
          this.openedMs = nowMs();
          this.#socket = socket;
          this.localPort = socket.localPort;
        },
        data: (_, chunk) => this.#take(chunk),
        close: () => this.end("closed"),
        error: (_, error) => this.end(codeOf(error)),
      },
    });
  }

  get ready(): boolean {
    return this.#word > 0;
  }

  terminate(): void {
    this.end("reset by us");
    this.#socket?.terminate();
  }

  #take(chunk: Uint8Array): void {
    let word = this.#word;
    let shift = this.#shift;
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] !== ((word >>> shift) & 0xff)) this.end("a wrong byte");
      shift += 8;
      if (shift < 32) continue;
      shift = 0;
      word = (word + 1) >>> 0;
    }
    this.#word = word;
    this.#shift = shift;
    this.arrivals.came();
  }
}
