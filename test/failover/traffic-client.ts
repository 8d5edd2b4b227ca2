/**
 * The client on host A: TCP connections that ask, wait for the answer, check it and ask again; one bulk transfer; and a
 * listener for datagrams that says one word and is silent then.
 *
 *   bun test/failover/traffic-client.ts SERVER      says "ready", then obeys the orders on its standard input
 */
import type { Socket } from "bun";
import { until } from "../lab/until.ts";
import {
  BULK_PORT,
  type ConnectionReport,
  FRAME_BYTES,
  type Order,
  PUSH_PORT,
  type StreamReport,
  TALK_PORT,
  type TrafficReport,
  thinkMs,
} from "./traffic-protocol.ts";

const OPEN_DEADLINE_MS = 15_000;
/** So many answers after the moment in question prove that a connection goes on. */
const ANSWERS_NEEDED = 3;
const PUSH_DEAD_MS = 1_000;
/** So many new connections are begun at once: a burst of 200 SYNs would wait for each other. */
const OPEN_AT_ONCE = 20;

const server = Bun.argv[2] ?? "";
const nowMs = (): number => performance.timeOrigin + performance.now();

/** Moments something came, as far as they tell: how many since the moment asked about, and the longest silence. */
class Arrivals {
  #lastMs = nowMs();
  #sinceMs = Number.POSITIVE_INFINITY;
  #count = 0;
  longestGapMs = 0;
  gapEndMs = 0;

  came(): void {
    const now = nowMs();
    this.#note(now);
    this.#lastMs = now;
    if (now > this.#sinceMs) this.#count++;
  }

  /** Forgets the silences so far; one that has begun counts from its beginning. */
  watch(): void {
    this.longestGapMs = 0;
    this.gapEndMs = 0;
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  countSince(ms: number): void {
    this.#sinceMs = ms;
    this.#count = 0;
  }

  get goesOn(): boolean {
    return this.#count >= ANSWERS_NEEDED;
  }

  report(failed = false): StreamReport {
    if (!this.goesOn) this.#note(nowMs());
    const { longestGapMs, gapEndMs } = this;
    return { survived: this.goesOn && !failed, longestGapMs, gapEndMs };
  }

  #note(now: number): void {
    if (now - this.#lastMs <= this.longestGapMs) return;
    this.longestGapMs = now - this.#lastMs;
    this.gapEndMs = now;
  }
}

class Talk implements Stream {
  readonly number: number;
  readonly arrivals = new Arrivals();
  fate = "";
  #socket: Socket | undefined;
  #asked = 0;
  #rest: Uint8Array = new Uint8Array(0);
  #port = 0;

  constructor(number: number) {
    this.number = number;
  }

  async open(): Promise<void> {
    await Bun.connect({
      hostname: server,
      port: TALK_PORT,
      socket: {
        open: (socket) => {
          socket.setNoDelay(true);
          this.#socket = socket;
          this.#port = socket.localPort;
          this.#ask();
        },
        data: (_, chunk) => this.#take(chunk),
        close: (_, error) => this.#end(error === undefined ? "closed" : (error as NodeJS.ErrnoException).code),
        error: (_, error) => this.#end((error as NodeJS.ErrnoException).code),
        connectError: (_, error) => this.#end(`connect ${(error as NodeJS.ErrnoException).code}`),
      },
    }).catch(() => undefined);
  }

  get answered(): boolean {
    return this.#asked > 1;
  }

  get failed(): boolean {
    return this.fate !== "";
  }

  report(): ConnectionReport {
    const { number, fate } = this;
    const stream = this.arrivals.report(fate !== "");
    return { number, localPort: this.#port, fate: fate || (stream.survived ? "" : "silent"), ...stream };
  }

  terminate(): void {
    this.fate ||= "reset by us";
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
      this.#end("a wrong answer");
      return;
    }
    this.#rest = new Uint8Array(0);
    this.arrivals.came();
    setTimeout(() => this.#ask(), thinkMs());
  }

  #end(fate: string | undefined): void {
    this.fate ||= fate ?? "closed";
  }
}

/** Numbers that count up: any that is missing, doubled or wrong ends it. */
class Bulk implements Stream {
  readonly arrivals = new Arrivals();
  failed = false;
  #socket: Socket | undefined;
  #receivedBytes = 0;

  async open(): Promise<void> {
    await Bun.connect({
      hostname: server,
      port: BULK_PORT,
      socket: {
        open: (socket) => {
          this.#socket = socket;
        },
        data: (_, chunk) => this.#take(chunk),
        close: () => {
          this.failed = true;
        },
        error: () => {
          this.failed = true;
        },
      },
    });
    await until(() => this.#receivedBytes > 0, OPEN_DEADLINE_MS, "the bulk transfer begins");
  }

  terminate(): void {
    this.#socket?.terminate();
  }

  #take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at++) {
      const position = this.#receivedBytes + at;
      if (chunk[at] !== (((position >>> 2) >>> ((position % 4) * 8)) & 0xff)) this.failed = true;
    }
    this.#receivedBytes += chunk.length;
    this.arrivals.came();
  }
}

class Push implements Stream {
  readonly failed = false;
  readonly arrivals = new Arrivals();
  #came = 0;
  #close = (): void => undefined;

  async open(): Promise<void> {
    const socket = await Bun.udpSocket({
      connect: { hostname: server, port: PUSH_PORT },
      socket: {
        data: () => {
          this.#came++;
          this.arrivals.came();
        },
        error: () => undefined,
      },
    });
    this.#close = () => socket.close();
    socket.send("the one word");
    await until(() => this.#came > 0, OPEN_DEADLINE_MS, "datagrams come");
  }

  terminate(): void {
    this.#close();
  }
}

/** What has to be opened again once it is dead. */
interface Stream {
  readonly arrivals: Arrivals;
  readonly failed: boolean;
  open(): Promise<void>;
  terminate(): void;
}

async function opened(stream: Stream): Promise<Stream> {
  await stream.open();
  return stream;
}

class Traffic {
  #opened = 0;
  #talks: Talk[] = [];
  #bulk: Stream | undefined;
  #push: Stream | undefined;

  /** Answers how many were ever opened: the next one has that number. */
  async open(count: number): Promise<{ opened: number }> {
    this.#bulk ??= await opened(new Bulk());
    this.#push ??= await opened(new Push());
    for (let left = count; left > 0; left -= OPEN_AT_ONCE) {
      const some = Array.from({ length: Math.min(left, OPEN_AT_ONCE) }, () => new Talk(this.#opened++));
      this.#talks.push(...some);
      await Promise.all(some.map((talk) => talk.open()));
      await until(() => some.every((talk) => talk.answered), OPEN_DEADLINE_MS, "new connections are answered");
    }
    return { opened: this.#opened };
  }

  watch(): object {
    for (const { arrivals } of this.#all) arrivals.watch();
    return {};
  }

  /** What turns out dead is taken away, so that the next event is not blamed for it. */
  async settle(sinceMs: number, deadlineMs: number): Promise<TrafficReport> {
    for (const { arrivals } of this.#all) arrivals.countSince(sinceMs);
    // Who pushes does not back off: when nothing comes for so long, nothing ever will.
    const pushMs = sinceMs + PUSH_DEAD_MS;
    const isSettled = (stream: Stream): boolean =>
      stream.failed || stream.arrivals.goesOn || (stream === this.#push && nowMs() > pushMs);
    const settled = (): boolean => this.#all.every(isSettled);
    await until(settled, deadlineMs, "all is settled").catch(() => undefined);
    const connections = this.#talks.map((talk) => talk.report());
    const streamReport = (stream: Stream | undefined): StreamReport =>
      stream?.arrivals.report(stream.failed) ?? { survived: false, longestGapMs: 0, gapEndMs: 0 };
    const report = { connections, push: streamReport(this.#push), bulk: streamReport(this.#bulk) };
    this.#drop((_, at) => !connections[at]?.survived);
    if (!report.push.survived) this.#push = this.#end(this.#push);
    if (!report.bulk.survived) this.#bulk = this.#end(this.#bulk);
    return report;
  }

  /** Ends all of it without a farewell that would linger in the firewalls. */
  reset(): object {
    this.#drop(() => true);
    this.#push = this.#end(this.#push);
    this.#bulk = this.#end(this.#bulk);
    return {};
  }

  get #all(): Stream[] {
    return [...this.#talks, ...[this.#bulk, this.#push].filter((stream) => stream !== undefined)];
  }

  #drop(isDead: (talk: Talk, at: number) => boolean): void {
    for (const talk of this.#talks.filter(isDead)) talk.terminate();
    this.#talks = this.#talks.filter(({ fate }) => fate === "");
  }

  #end(stream: Stream | undefined): undefined {
    stream?.terminate();
  }
}

const traffic = new Traffic();

async function obey(order: Order): Promise<object> {
  switch (order.order) {
    case "open":
      return await traffic.open(order.count);
    case "watch":
      return traffic.watch();
    case "settle":
      return await traffic.settle(order.sinceMs, order.deadlineMs);
    case "reset":
      return traffic.reset();
    default:
      return order satisfies never;
  }
}

console.log("ready");
for await (const line of console) {
  const answer = await obey(JSON.parse(line)).catch((error: Error) => ({ error: error.message }));
  console.log(JSON.stringify(answer));
}
