/** M13: how soon the daemon hears of a takeover, from the moment keepalived runs the notify script. */
import { createServer } from "node:net";
import { join } from "node:path";
import type { FinalLine, NotifyReport } from "../../../src/report.ts";
import { median } from "../../figures/statistics.ts";
import { CONNTRACKD, writeConntrackdConfig } from "../../lab/conntrackd.ts";
import { CTSYNC, writeConfig } from "../../lab/ctsync.ts";
import { Lab } from "../../lab/lab.ts";
import type { Form, Measure, Readings } from "../measure.ts";

const STARTS: Readonly<Record<Form, number>> = { quick: 10, full: 20 };
/** What reads the files from the disk, into the memory that later starts find them in. */
const WARM_UP_STARTS = 3;
const DEADLINE_MS = 10_000;
const MS_MAX = 20;

const ENDS = { interface: "lo", local: "127.0.0.1", peer: "127.0.0.2" };
const DONE: FinalLine<NotifyReport> = { ok: true, value: { role: "master", steps: [] } };

/** In a daemon's stead at its control socket: notes when each request arrives, and says that all is done. */
interface StandIn extends AsyncDisposable {
  readonly client: readonly string[];
  arrivedMs: number;
}

async function ctsyncStandIn(lab: Lab): Promise<StandIn> {
  const config = await writeConfig(lab, "notify", ENDS);
  const server = Bun.serve({
    unix: join(lab.directory, "notify.sock"),
    fetch: () => {
      standIn.arrivedMs = performance.now();
      return new Response(`${JSON.stringify(DONE)}\n`);
    },
  });
  const standIn: StandIn = {
    client: [CTSYNC, "notify", "master", "--config", config],
    arrivedMs: Number.NaN,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return standIn;
}

async function conntrackdStandIn(lab: Lab): Promise<StandIn> {
  const config = await writeConntrackdConfig(lab, "notify", ENDS);
  const server = createServer((socket) => {
    socket.once("data", () => {
      standIn.arrivedMs = performance.now();
      socket.end();
    });
  });
  const standIn: StandIn = {
    client: [CONNTRACKD, "-C", config, "-c"],
    arrivedMs: Number.NaN,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
  const path = join(lab.directory, "notify.ctl");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return standIn;
}

async function requestMs(standIn: StandIn): Promise<number> {
  standIn.arrivedMs = Number.NaN;
  const startMs = performance.now();
  const child = Bun.spawn([...standIn.client], { stdin: "ignore", stdout: "ignore", timeout: DEADLINE_MS });
  const status = await child.exited;
  const elapsedMs = standIn.arrivedMs - startMs;
  if (status !== 0 || !(elapsedMs > 0)) throw new Error(`${standIn.client.join(" ")}: exit status ${status}`);
  return elapsedMs;
}

export const notify: Measure = {
  id: "M13",
  title: "Notify",
  method:
    "From the start of `ctsync notify master` until its request arrives at the daemon's control socket, where the " +
    "benchmark listens in the daemon's stead; the median of 20 starts, all files in memory. conntrackd: `conntrackd -c`.",
  rows: () => [
    { id: "request", label: "start to request sent", unit: "ms", better: "lower", goals: [{ absolute: MS_MAX }] },
  ],
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("there is no limit to a start");
    await using lab = await Lab.create();
    await using standIn = await (subject === "ctsync" ? ctsyncStandIn(lab) : conntrackdStandIn(lab));
    for (let i = 0; i < WARM_UP_STARTS; i++) await requestMs(standIn);
    const samples: number[] = [];
    for (let i = 0; i < STARTS[form]; i++) samples.push(await requestMs(standIn));
    return { request: median(samples) };
  },
};
