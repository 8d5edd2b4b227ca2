/**
 * A lab: network namespaces, links between them, processes in them and a directory, gone when its block ends.
 *
 *   await using lab = await Lab.create();
 *   const fw1 = await lab.namespace("fw1");
 *
 * Real names are cts<pid>-<lab number>-<name>, so that runs side by side do not meet, and leftovers name their owner.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { succeed } from "./execute.ts";
import { removeLab, sweepStaleLabs } from "./leftovers.ts";
import { holdMachineSysctl } from "./machine-sysctl.ts";
import { Namespace } from "./namespace.ts";
import { LabProcess } from "./process.ts";

/** One end of a veth link. */
export interface LinkEnd {
  readonly namespace: Namespace;
  readonly interface: string; // at most 15 characters
  readonly addresses?: readonly string[]; // with prefix length, either family
}

type MachineSetting =
  | `net.netfilter.${"nf_log_all_netns" | "nf_conntrack_max" | "nf_conntrack_buckets"}`
  | `kernel.${"sched_rr_timeslice_ms" | "sched_rt_runtime_us"}`;

const living = new Set<Lab>();
let labsCreated = 0;

export class Lab implements AsyncDisposable {
  /** For configuration, keys, sockets: /run is shared between network namespaces. Removed with the lab. */
  readonly directory: string;
  readonly #user: string;
  readonly #prefix: string;
  readonly #processes: LabProcess[] = [];

  private constructor() {
    this.#user = `${process.pid}-${++labsCreated}`;
    this.#prefix = `cts${this.#user}-`;
    this.directory = mkdtempSync(join(tmpdir(), this.#prefix));
  }

  static async create(): Promise<Lab> {
    sweepStaleLabs();
    const lab = new Lab();
    if (living.size === 0) for (const [event, handler] of INTERRUPTIONS) process.on(event, handler);
    living.add(lab);
    return lab;
  }

  async namespace(name: string): Promise<Namespace> {
    const namespace = new Namespace(this, name, this.#prefix + name);
    await succeed(["ip", "netns", "add", namespace.realName]);
    await namespace.ip("link set dev lo up");
    // Duplicate address detection would keep IPv6 addresses unusable for a second or two.
    await namespace.sysctl({ "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.default.dad_transmits": 0 });
    return namespace;
  }

  /** A switch: a namespace holding the bridge br0. Plug ends in with `plug`. */
  async bridge(name: string): Promise<Namespace> {
    const namespace = await this.namespace(name);
    // Without a multicast querier, snooping would stop VRRP's advertisements after some minutes.
    await namespace.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0", "link set dev br0 up");
    return namespace;
  }

  /** A veth pair, both ends up. */
  async link(left: LinkEnd, right: LinkEnd): Promise<void> {
    await left.namespace.ip(
      `link add ${left.interface} type veth peer name ${right.interface} netns ${right.namespace.realName}`,
    );
    for (const end of [left, right]) await configureEnd(end);
  }

  /** A cable from `end` to a port of the switch; the port is named after the namespace plugged in. */
  async plug(end: LinkEnd, bridge: Namespace): Promise<void> {
    const port = end.namespace.name;
    await this.link(end, { namespace: bridge, interface: port });
    await bridge.ip(`link set dev ${port} master br0`);
  }

  /** Starts a process outside the lab's namespaces; it is killed with the lab. */
  spawn(argv: readonly string[], environment?: Record<string, string>): LabProcess {
    const started = new LabProcess(argv, environment === undefined ? undefined : { ...process.env, ...environment });
    this.#processes.push(started);
    return started;
  }

  /** Writes a file into the lab's directory; returns its path. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.directory, name);
    await Bun.write(path, text, { mode: 0o600 });
    return path;
  }

  /** Changes a setting that the machine has only once; put back when no lab needs it any more. */
  machineSysctl(key: MachineSetting, value: number): void {
    holdMachineSysctl(key, value, this.#user);
  }

  /** Synchronous, so that it can run while the process exits. */
  remove(): void {
    living.delete(this);
    if (living.size === 0) for (const [event, handler] of INTERRUPTIONS) process.off(event, handler);
    for (const started of this.#processes) if (started.running) started.kill("SIGKILL");
    removeLab(this.#prefix, this.#user);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.remove();
    await Promise.all(this.#processes.map((started) => started.stop()));
  }
}

async function configureEnd(end: LinkEnd): Promise<void> {
  const addresses = (end.addresses ?? []).map((address) => {
    const nodad = address.includes(":") ? " nodad" : "";
    return `address add ${address} dev ${end.interface}${nodad}`;
  });
  await end.namespace.ip(...addresses, `link set dev ${end.interface} up`);
}

function removeAll(): void {
  for (const lab of living) lab.remove();
}

/** Exits as the signal would have made it exit, so that a caller sees the interruption. */
const interrupted = (status: number) => () => {
  removeAll();
  process.exit(status);
};

const INTERRUPTIONS = [
  ["exit", removeAll],
  ["SIGINT", interrupted(130)],
  ["SIGTERM", interrupted(143)],
  ["SIGHUP", interrupted(129)],
] as const;
