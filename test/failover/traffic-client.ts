/**
 * A client of one of the hosts, with connections of every kind.
 *
 *   bun test/failover/traffic-client.ts SERVER_IPV4 SERVER_IPV6 OWN_IPV4    says "ready", then obeys the orders on its
 *                                                                           standard input
 */
import { until } from "../lab/until.ts";
import { Ftp } from "./traffic-ftp.ts";
import { tellPauses } from "./traffic-pauses.ts";
import {
  BULK_PORT,
  type ClientKind,
  type ConnectionReport,
  ECHO_PORT,
  INBOUND_PORT,
  LATE_PORT,
  type Order,
  PUSH_PORT,
  TALK_IPV6_PORT,
  TALK_PORT,
  type Wanted,
} from "./traffic-protocol.ts";
import { nowMs, type Stream } from "./traffic-stream.ts";
import { Bulk, Talk } from "./traffic-tcp.ts";
import { Echo, Push } from "./traffic-udp.ts";

const OPEN_DEADLINE_MS = 15_000;
const RENEW_DEADLINE_MS = 5_000;
/** Who pushes does not back off: when nothing comes for so long, nothing ever will. */
const PUSH_DEAD_MS = 1_000;
/** So many new connections are begun at once: a burst of 200 SYNs would wait for each other. */
const OPEN_AT_ONCE = 40;
const BURST_AT_ONCE = 2;
const BURST_MAX = 1_000;
const POLL_MS = 4;

const [ipv4 = "", ipv6 = "", own = ""] = Bun.argv.slice(2);

const MAKE: Readonly<Record<ClientKind, (number: number) => Stream>> = {
  talk: (number) => new Talk("talk", number, { hostname: ipv4, port: TALK_PORT }),
  ipv6: (number) => new Talk("ipv6", number, { hostname: ipv6, port: TALK_IPV6_PORT }),
  inbound: (number) => new Talk("inbound", number, { hostname: ipv4, port: INBOUND_PORT }),
  late: (number) => new Talk("late", number, { hostname: ipv4, port: LATE_PORT }),
  bulk: (number) => new Bulk("bulk", number, { hostname: ipv4, port: BULK_PORT }),
  push: (number) => new Push("push", number, { hostname: ipv4, port: PUSH_PORT }),
  udp: (number) => new Echo("udp", number, { hostname: ipv4, port: ECHO_PORT }),
  ftp: (number) => new Ftp("ftp", number, ipv4),
  "ftp-active": (number) => new Ftp("ftp-active", number, ipv4, own),
};

interface Reports {
  readonly connections: readonly ConnectionReport[];
}
type SettleOrder = Extract<Order, { order: "settle" }>;

class Traffic {
  #opened = 0;
  #streams: Stream[] = [];
  #burst: NodeJS.Timeout | undefined;

  /** Answers the number of the first that it opened, or would have. */
  async open(wanted: Wanted): Promise<{ first: number }> {
    const first = this.#opened;
    this.#drop(({ fate, kind }) => fate !== "" || kind === "late");
    for (const stream of this.#streams) await deadline(stream.renew(), `${stream.kind} is made ready again`);
    const missing = Object.entries(wanted).flatMap(([kind, count]) => {
      const alive = this.#streams.filter((stream) => stream.kind === kind).length;
      return Array.from({ length: Math.max(0, count - alive) }, () => kind as ClientKind);
    });
    for (let at = 0; at < missing.length; at += OPEN_AT_ONCE) {
      const some = missing.slice(at, at + OPEN_AT_ONCE).map((kind) => MAKE[kind](this.#opened++));
      this.#streams.push(...some);
      await Promise.all(some.map((stream) => deadline(stream.open(), `${stream.kind} is opened`)));
      const what = (): string => some.find(({ ready }) => !ready)?.kind ?? "";
      await until(() => what() === "", OPEN_DEADLINE_MS, "new connections are answered", POLL_MS).catch((error) => {
        throw new Error(`${what()}: ${error.message}`);
      });
    }
    return { first };
  }

  watch(): object {
    for (const { arrivals } of this.#streams) arrivals.watch();
    return {};
  }

  burst(): object {
    const begin = (): void => {
      for (let i = 0; i < BURST_AT_ONCE; i++) {
        const late = MAKE.late(this.#opened++);
        this.#streams.push(late);
        void late.open();
      }
    };
    let left = BURST_MAX / BURST_AT_ONCE;
    this.#burst = setInterval(() => (left-- > 0 ? begin() : this.hush()), 1);
    return {};
  }

  /** Those that did not come through are none. */
  hush(): object {
    clearInterval(this.#burst);
    this.#drop(({ kind, openedMs }) => kind === "late" && openedMs === 0);
    return {};
  }

  async settle({ sinceMs, deadlineMs, lateDeadlineMs }: SettleOrder): Promise<Reports> {
    const streams = this.#streams.filter(({ isUsedOnce }) => !isUsedOnce);
    const startMs = nowMs();
    const isOverdue = ({ kind }: Stream): boolean =>
      (kind === "push" && nowMs() > sinceMs + PUSH_DEAD_MS) || (kind === "late" && nowMs() > startMs + lateDeadlineMs);
    return await reports(streams, sinceMs, deadlineMs, isOverdue);
  }

  async prove(deadlineMs: number): Promise<Reports> {
    const streams = this.#streams.filter(({ isUsedOnce }) => isUsedOnce);
    const settled = reports(streams, nowMs(), deadlineMs);
    for (const stream of streams) stream.prove();
    return await settled;
  }

  reset(): object {
    this.#drop(() => true);
    return {};
  }

  #drop(isDropped: (stream: Stream) => boolean): void {
    const dropped = new Set(this.#streams.filter(isDropped));
    for (const stream of dropped) stream.terminate();
    this.#streams = this.#streams.filter((stream) => !dropped.has(stream));
  }
}

/** When each has gone on since then, or has ended, or is overdue. */
async function reports(
  streams: readonly Stream[],
  sinceMs: number,
  deadlineMs: number,
  isOverdue = (_: Stream): boolean => false,
): Promise<Reports> {
  for (const { arrivals } of streams) arrivals.countSince(sinceMs);
  const isSettled = (stream: Stream): boolean => stream.fate !== "" || stream.goesOn || isOverdue(stream);
  await until(() => streams.every(isSettled), deadlineMs, "all is settled", POLL_MS).catch(() => undefined);
  return { connections: streams.map((stream) => stream.report()) };
}

function deadline(work: Promise<void>, what: string): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${RENEW_DEADLINE_MS} ms`)), RENEW_DEADLINE_MS);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

const traffic = new Traffic();

async function obey(order: Order): Promise<object> {
  switch (order.order) {
    case "open":
      return await traffic.open(order.wanted);
    case "watch":
      return traffic.watch();
    case "burst":
      return traffic.burst();
    case "hush":
      return traffic.hush();
    case "settle":
      return await traffic.settle(order);
    case "prove":
      return await traffic.prove(order.deadlineMs);
    case "reset":
      return traffic.reset();
    default:
      return order satisfies never;
  }
}

tellPauses();
console.log("ready");
for await (const line of console) {
  const answer = await obey(JSON.parse(line)).catch((error: Error) => ({ error: error.message }));
  console.log(JSON.stringify(answer));
}
