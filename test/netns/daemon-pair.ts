/** Two daemons on a link of their own, as real processes, and what tests ask of them. */
import { join } from "node:path";
import { errnoName } from "../../ffi/errno.ts";
import { Flow } from "../../src/flow/flow.ts";
import { flowJson } from "../../src/flow/json.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import type { StatusReport } from "../../src/report.ts";
import { type Answer, askSocket } from "../lab/control-socket.ts";
import { type Daemon, type LabConfig, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { inside } from "../lab/enter.ts";
import type { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import { table, unwrap } from "./kernel-table.ts";

export const DEADLINE_MS = 10_000;

/** One of the two: a machine, and its daemon's configuration. The socket is beside it. */
export interface Side {
  readonly namespace: Namespace;
  readonly config: string;
  readonly socket: string;
}

export type Sides = readonly [Side, Side];

/** Two machines joined by `sync`, 10.0.9.1 and 10.0.9.2, that track connections; nothing runs on them yet. */
export async function makeSides(lab: Lab, settings: Partial<LabConfig> = {}): Promise<Sides> {
  const namespaces = [await lab.namespace("one"), await lab.namespace("two")] as const;
  const [left, right] = namespaces.map((namespace, i) => ({
    namespace,
    interface: "sync",
    addresses: [`10.0.9.${i + 1}/24`],
  }));
  await lab.link(left!, right!);
  for (const namespace of namespaces) await namespace.trackConnections();
  const side = async (i: 0 | 1): Promise<Side> => {
    const name = namespaces[i].name;
    const ends = { interface: "sync", local: `10.0.9.${i + 1}`, peer: `10.0.9.${2 - i}` };
    const config = await writeConfig(lab, name, { ...ends, ...settings });
    return { namespace: namespaces[i], config, socket: join(lab.directory, `${name}.sock`) };
  };
  return [await side(0), await side(1)];
}

export const start = (side: Side): Promise<Daemon> => startDaemon(side.namespace, side.config);

/** Starts both daemons; returns once each has asked the other for everything and got it. */
export async function startPair(sides: Sides): Promise<[Daemon, Daemon]> {
  const daemons = await Promise.all([start(sides[0]), start(sides[1])]);
  for (const side of sides) await connected(side);
  return daemons;
}

export const connected = (side: Side): Promise<boolean> =>
  until(
    async () => {
      const { ready, peer } = await statusOf(side);
      return ready && peer.state === "connected";
    },
    DEADLINE_MS,
    `the daemon in ${side.namespace.name} has all its peer has`,
  );

/** An HTTP request over the control socket, without the command line between. */
export const ask = (side: Side, method: string, path: string, body = ""): Promise<Answer> =>
  askSocket(side.socket, method, path, body);

export const statusOf = async (side: Side): Promise<StatusReport> =>
  JSON.parse((await ask(side, "GET", "/v1/status")).text) as StatusReport;

/** What does not differ between the kernel, an internal and an external cache, as a line; the order is by line. */
function comparable(json: string): string {
  const { family, protocol, orig, reply, mark, zone, helper, labels, state } = JSON.parse(json);
  return JSON.stringify({ family, protocol, orig, reply, mark: mark ?? 0, zone, helper, labels, state });
}

export async function cached(side: Side, cache: "internal" | "external"): Promise<string[]> {
  const { text } = await ask(side, "GET", `/v1/dump?cache=${cache}&format=json`);
  return text.split("\n").filter(Boolean).map(comparable).sort();
}

/** The flows of a kernel's table that the link and the machine itself have no part in. */
export function kernelFlows(side: Side): string[] {
  const flow = new Flow();
  const lines = table(side.namespace).map((words) => {
    flow.words.set(words);
    return comparable(flowJson(flow, 0));
  });
  return lines.filter((line) => !/"src":"(10\.0\.9\.\d|fe80:[^"]*)"/.test(line)).sort();
}

/** Waits until the peer's external cache is exactly the kernel's table. */
export async function replicated(from: Side, to: Side, deadlineMs = DEADLINE_MS): Promise<void> {
  const differing = async (): Promise<boolean> => {
    const wanted = kernelFlows(from);
    return (
      Bun.deepEquals(await cached(to, "external"), wanted) && Bun.deepEquals(await cached(from, "internal"), wanted)
    );
  };
  await until(differing, deadlineMs, `${to.namespace.name} holds what the kernel of ${from.namespace.name} has`);
}

/** Puts flows into a kernel's table behind its daemon's back, as packets would. */
export function insert(side: Side, flows: readonly Flow[], timeoutSeconds = 300): void {
  const commit = inside(side.namespace, () => unwrap(KernelCommit.open()));
  for (const [i, flow] of flows.entries()) {
    if (!commit.hasRoom()) taken(commit);
    commit.add(flow, i, timeoutSeconds);
  }
  taken(commit);
  commit.close();
}

function taken(commit: KernelCommit): void {
  const refused = commit.flush();
  if (refused > 0) throw new Error(`the kernel refused ${refused} flows: ${errnoName(commit.refusedErrno(0))}`);
}

export function remove(side: Side, flows: readonly Flow[]): void {
  const deletes = inside(side.namespace, () => unwrap(KernelDelete.open()));
  for (const [i, flow] of flows.entries()) {
    if (!deletes.hasRoom()) deletes.flush();
    deletes.add(flow, i);
  }
  deletes.flush();
  deletes.close();
}
