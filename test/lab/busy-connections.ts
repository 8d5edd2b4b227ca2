/**
 * TCP connections from A to B that ask again as soon as they are answered. Fifty times a second each at most, so that many of
 * them leave a processor for what is tested.
 */

import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { B } from "./two-firewalls.ts";
import { until } from "./until.ts";

const DEADLINE_MS = 15_000;
const SERVER = `Bun.listen({ hostname: "0.0.0.0", port: 7100, socket: { data: (socket, data) => void socket.write(data) } });
console.log("listening");`;
/** One line a tenth of a second tells how they are. */
const client = (count: number): string => `let open = 0, ended = 0;
const answers = new Array(${count}).fill(0);
const socket = {
  open: (s) => { s.data = open++; s.write("x"); },
  data: (s) => { answers[s.data]++; setTimeout(() => s.write("x"), 20); },
  close: () => { ended++; },
  error: () => { ended++; },
};
for (let i = 0; i < ${count}; i++) await Bun.connect({ hostname: "${B.ipv4}", port: 7100, socket });
setInterval(() => console.log(JSON.stringify({ open, ended, answers })), 100);`;

export interface Connections {
  readonly open: number;
  readonly ended: number;
  /** Of each connection. */
  readonly answers: readonly number[];
}

export class BusyConnections {
  readonly count: number;
  readonly #client: LabProcess;

  static async serve(b: Namespace): Promise<void> {
    const server = b.spawn([process.execPath, await b.lab.write("busy-server.ts", SERVER)]);
    await server.waitForLine(/^listening$/, DEADLINE_MS);
  }

  /** They are open. */
  static async open(a: Namespace, count: number): Promise<BusyConnections> {
    const busy = new BusyConnections(a.spawn([process.execPath, await a.lab.write("busy.ts", client(count))]), count);
    await until(() => busy.last.open === count, DEADLINE_MS, "the connections are open");
    return busy;
  }

  private constructor(process: LabProcess, count: number) {
    this.#client = process;
    this.count = count;
  }

  /** What the client said last. */
  get last(): Connections {
    return JSON.parse(this.#client.lines.at(-1)?.text ?? '{"open":0,"ended":0,"answers":[]}') as Connections;
  }

  /** Waits until each of them was answered more than once from now on. Those that are not yet are named. */
  async goOn(deadlineMs = DEADLINE_MS): Promise<void> {
    const before = this.last.answers;
    const silent = (): number[] => this.last.answers.flatMap((count, i) => (count > before[i]! + 1 ? [] : [i]));
    await until(() => silent().length === 0, deadlineMs, "the connections go on").catch((error: Error) => {
      throw new Error(`${error.message}: ${silent().join(", ")} of ${this.count} are silent`);
    });
  }
}
