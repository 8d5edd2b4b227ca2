/** Clients and servers on A and B, as the suite commands them; beside them one ssh session and a ping. */
import { OUTSIDE } from "../lab/firewall.ts";
import type { LineSession } from "../lab/line-session.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { SshServer } from "../lab/ssh.ts";
import { A, B, type TwoFirewalls } from "../lab/two-firewalls.ts";
import { Echoes } from "./echoes.ts";
import type { Sessions } from "./survival.ts";
import { longestPauseMs } from "./traffic-pauses.ts";
import { BULK_PORT, type ConnectionReport, FTP_PASSIVE_PORT, type Order, type Wanted } from "./traffic-protocol.ts";

const SERVER = Bun.fileURLToPath(new URL("./traffic-server.ts", import.meta.url));
const CLIENT = Bun.fileURLToPath(new URL("./traffic-client.ts", import.meta.url));
const FTP_SERVER = Bun.fileURLToPath(new URL("../lab/ftp-server.ts", import.meta.url));
/** A and B stand for other machines: on the processor that they have here, nothing keeps their programs from running. */
export const ELSEWHERE = ["chrt", "--rr", "50"] as const;
const START_DEADLINE_MS = 10_000;
const ORDER_DEADLINE_MS = 90_000;
const SILENT_MS = 1_000;
const GIVE_UP_SECONDS = 60; // so that ssh lives as long as its connection does
/** The bulk transfer has a line of its own, of this speed: processors without one would have no time for anything else. */
const LINE_MBIT = 100;

export class Traffic {
  readonly #a: Namespace;
  readonly #inside: LabProcess;
  readonly #outside: LabProcess;
  readonly #servers: readonly LabProcess[];
  readonly #sshServer: SshServer;
  #ssh: LineSession | undefined;
  #echoes: Echoes | undefined;

  static async start({ a, b }: TwoFirewalls): Promise<Traffic> {
    await limitBulk(b);
    const start = async (host: Namespace, program: string, ...args: readonly string[]): Promise<LabProcess> => {
      const started = host.spawn([...ELSEWHERE, process.execPath, program, ...args]);
      await started.waitForLine(/^ready$/, START_DEADLINE_MS);
      return started;
    };
    const [inside, outside, sshServer, ...servers] = await Promise.all([
      start(a, CLIENT, B.ipv4, B.ipv6, A.ipv4),
      start(b, CLIENT, OUTSIDE.virtualIpv4, "", ""),
      SshServer.start(b),
      start(a, SERVER),
      start(b, SERVER),
      start(b, FTP_SERVER, B.ipv4, `${FTP_PASSIVE_PORT}`),
    ]);
    return new Traffic(a, inside, outside, servers, sshServer);
  }

  private constructor(
    a: Namespace,
    inside: LabProcess,
    outside: LabProcess,
    servers: readonly LabProcess[],
    sshServer: SshServer,
  ) {
    this.#a = a;
    this.#inside = inside;
    this.#outside = outside;
    this.#servers = servers;
    this.#sshServer = sshServer;
  }

  /** The longest time since then for which one of the hosts' own programs stood still. */
  pausedMs(sinceMs: number): number {
    return Math.max(...[...this.#clients, ...this.#servers].map(({ lines }) => longestPauseMs(lines, sinceMs)));
  }

  /** So many of each kind are to be alive; answers the number of the first that was opened on A. */
  async open({ inbound = 0, ...wanted }: Wanted): Promise<number> {
    const [opened] = await Promise.all([
      order<{ first: number }>(this.#inside, { order: "open", wanted }),
      order(this.#outside, { order: "open", wanted: { inbound } }),
      this.#mend(),
    ]);
    return opened.first;
  }

  async watch(): Promise<void> {
    await Promise.all(this.#clients.map((client) => order(client, { order: "watch" })));
    this.#echoes?.clear();
  }

  /** Opens new connections on A, again and again, until told to hush. */
  async burst(): Promise<void> {
    await order(this.#inside, { order: "burst" });
  }

  async hush(): Promise<void> {
    await order(this.#inside, { order: "hush" });
  }

  /** Waits until each connection has gone on after `sinceMs` or is known to be dead, then says what became of each. */
  async settle(settle: Omit<Extract<Order, { order: "settle" }>, "order">): Promise<ConnectionReport[]> {
    const reports = await Promise.all(
      this.#clients.map((client) => order<{ connections: ConnectionReport[] }>(client, { order: "settle", ...settle })),
    );
    return reports.flatMap(({ connections }) => connections);
  }

  /** Uses what can be used but once, and says what became of that. */
  async prove(deadlineMs: number): Promise<ConnectionReport[]> {
    const { connections } = await order<{ connections: ConnectionReport[] }>(this.#inside, {
      order: "prove",
      deadlineMs,
    });
    return connections;
  }

  /** The same for what is no client's. */
  async sessions(deadlineMs: number): Promise<Sessions> {
    const [ssh, echo] = [this.#ssh, this.#echoes];
    if (ssh === undefined || echo === undefined) throw new Error("there is no session");
    const [answered, echoed] = await Promise.all([
      ssh.nextAnswer(deadlineMs).then(
        () => true,
        () => false,
      ),
      echo.goesOn(deadlineMs),
    ]);
    if (!echoed) {
      echo.close();
      this.#echoes = undefined;
    }
    return { ssh: answered && ssh.answersAreComplete, echo: echoed };
  }

  sshGapMs(sinceMs: number): number {
    return this.#ssh?.longestGapMs(sinceMs - performance.timeOrigin) ?? 0;
  }

  /** All of it anew, an ssh session that is still alive excepted. */
  async reset(): Promise<void> {
    await Promise.all(this.#clients.map((client) => order(client, { order: "reset" })));
    this.#echoes?.close();
    this.#echoes = undefined;
  }

  get #clients(): LabProcess[] {
    return [this.#inside, this.#outside];
  }

  async #mend(): Promise<void> {
    this.#echoes ??= await Echoes.open(this.#a, B.ipv4, ELSEWHERE);
    if (this.#ssh !== undefined) {
      if (this.#ssh.client.running && this.#ssh.silenceMs < SILENT_MS) return;
      this.#ssh.client.kill();
      await this.#ssh.close();
    }
    this.#ssh = await this.#sshServer.open(this.#a, B.ipv4, GIVE_UP_SECONDS);
  }
}

async function order<T = unknown>(client: LabProcess, said: Order): Promise<T> {
  const since = client.lines.length;
  client.write(`${JSON.stringify(said)}\n`);
  const answer = JSON.parse(await client.waitForLine(/^\{/, ORDER_DEADLINE_MS, since));
  if (answer.error !== undefined) throw new Error(`a client could not ${said.order}: ${answer.error}`);
  return answer;
}

async function limitBulk(b: Namespace): Promise<void> {
  const tc = (words: string): Promise<string> => b.run(["tc", ...words.split(" ")]);
  await tc("qdisc add dev eth0 root handle 1: htb");
  await tc(`class add dev eth0 parent 1: classid 1:1 htb rate ${LINE_MBIT}mbit burst 64k`);
  await tc(`filter add dev eth0 parent 1: protocol ip u32 match ip sport ${BULK_PORT} 0xffff flowid 1:1`);
}
