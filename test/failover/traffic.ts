/** Client on A and server on B, as the suite commands them; and one ssh session beside them. */
import type { LineSession } from "../lab/line-session.ts";
import type { LabProcess } from "../lab/process.ts";
import { SshServer } from "../lab/ssh.ts";
import { B, type TwoFirewalls } from "../lab/two-firewalls.ts";
import type { Order, TrafficReport } from "./traffic-protocol.ts";

const SERVER = Bun.fileURLToPath(new URL("./traffic-server.ts", import.meta.url));
const CLIENT = Bun.fileURLToPath(new URL("./traffic-client.ts", import.meta.url));
/**
 * A and B stand for other machines, whose programs no daemon of a firewall keeps from running, not even one with real-time
 * priority: here all share the processors.
 */
export const ELSEWHERE = ["chrt", "--rr", "50"] as const;
const START_DEADLINE_MS = 10_000;
const ORDER_DEADLINE_MS = 90_000;
const SILENT_MS = 1_000;
const GIVE_UP_SECONDS = 60; // so that ssh lives as long as its connection does

export class Traffic {
  readonly #a: TwoFirewalls["a"];
  readonly #client: LabProcess;
  readonly #sshServer: SshServer;
  ssh: LineSession;

  /** The firewall must forward already: ssh is opened through it. */
  static async start({ a, b }: TwoFirewalls): Promise<Traffic> {
    const server = b.spawn([...ELSEWHERE, process.execPath, SERVER]);
    await server.waitForLine(/^ready$/, START_DEADLINE_MS);
    const client = a.spawn([...ELSEWHERE, process.execPath, CLIENT, B.ipv4]);
    await client.waitForLine(/^ready$/, START_DEADLINE_MS);
    const sshServer = await SshServer.start(b);
    return new Traffic(a, client, sshServer, await sshServer.open(a, B.ipv4, GIVE_UP_SECONDS));
  }

  private constructor(a: TwoFirewalls["a"], client: LabProcess, sshServer: SshServer, ssh: LineSession) {
    this.#a = a;
    this.#client = client;
    this.#sshServer = sshServer;
    this.ssh = ssh;
  }

  /** Opens so many more, and streams that have died; answers how many connections were ever opened. */
  async open(count: number): Promise<number> {
    return ((await this.#order({ order: "open", count })) as { opened: number }).opened;
  }

  async watch(): Promise<void> {
    await this.#order({ order: "watch" });
  }

  /** Waits until each connection has answered after `sinceMs` or is known to be dead, then says what became of each. */
  async settle(sinceMs: number, deadlineMs: number): Promise<TrafficReport> {
    return (await this.#order({ order: "settle", sinceMs, deadlineMs })) as TrafficReport;
  }

  /** All of it anew, an ssh session that is still alive excepted. */
  async reset(): Promise<void> {
    await this.#order({ order: "reset" });
  }

  /** Another ssh session in the place of one that is dead. */
  async mend(): Promise<void> {
    if (this.ssh.client.running && this.ssh.silenceMs < SILENT_MS) return;
    this.ssh.client.kill();
    await this.ssh.close();
    this.ssh = await this.#sshServer.open(this.#a, B.ipv4, GIVE_UP_SECONDS);
  }

  async #order(order: Order): Promise<unknown> {
    const since = this.#client.lines.length;
    this.#client.write(`${JSON.stringify(order)}\n`);
    const answer = JSON.parse(await this.#client.waitForLine(/^\{/, ORDER_DEADLINE_MS, since));
    if (answer.error !== undefined) throw new Error(`the client on A could not ${order.order}: ${answer.error}`);
    return answer;
  }
}
