/**
 * One node under measurement, whichever program it runs: what it costs, what it holds, and how it is commanded.
 *
 * Counts are asked for over the program's own unix socket, from this process: a command line client per question would cost
 * more than what is measured.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StatusReport } from "../../src/report.ts";
import { CONNTRACKD, type ConntrackdConfig, writeConntrackdConfig } from "./conntrackd.ts";
import { conntrackdCommit, conntrackdCounts } from "./conntrackd-control.ts";
import { processCpuUs } from "./cpu-clock.ts";
import { CTSYNC, type LabConfig, writeConfig } from "./ctsync.ts";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import type { Program } from "./sync-node.ts";
import { until } from "./until.ts";

/** What differs between measures; by default a million flows fit, and no buffer overflows. */
export interface NodeOptions {
  readonly netlinkBufferBytes?: number;
  readonly netlinkBufferMaxBytes?: number;
  readonly linkBufferBytes?: number;
  readonly flowsMax?: number;
  /** ctsync alone: how long events gather, 0 = off. */
  readonly gatherMs?: number;
  /** ctsync alone: more of its `[sync]` settings. */
  readonly sync?: Readonly<Record<string, string | number>>;
  /** ctsync alone: its `[keepalived]` settings. */
  readonly keepalived?: LabConfig["keepalived"];
  /** ctsync alone: what is not replicated. */
  readonly ignoreAddresses?: readonly string[];
  /** conntrackd alone. */
  readonly externalCache?: boolean;
  readonly expectations?: boolean;
}

export interface Counts {
  readonly internal: number;
  readonly external: number;
  /** Something was heard of the peer. */
  readonly heard: boolean;
}

/** Where a node stands on the sync link. */
export type Ends = Pick<ConntrackdConfig, "interface" | "local" | "peer">;

/** A million, what warms up before them, and what comes while they are dumped. */
const FLOWS_MAX = 1_200_000;
/** A bucket for each flow of a million, as ctsync has places. */
const CONNTRACKD_HASH_SIZE = 1_048_576;
const NETLINK_BUFFER_BYTES = 16_777_216;
const NETLINK_BUFFER_MAX_BYTES = 134_217_728;
const LINK_BUFFER_BYTES = 8_388_608;
/** A start with hundreds of thousands of flows in the kernel is measured too. */
const START_DEADLINE_MS = 30_000;
const START_POLL_MS = 2;
/** A dump or a commit of a million flows takes its time. */
const COMMAND_DEADLINE_MS = 120_000;

export abstract class MeasuredNode {
  abstract readonly program: Program;
  readonly namespace: Namespace;
  /** Its configuration file, control socket beside it. */
  readonly config: string;
  #process: LabProcess | undefined;

  constructor(namespace: Namespace, config: string) {
    this.namespace = namespace;
    this.config = config;
  }

  /** Flows in its caches; cheap enough to be asked every few milliseconds. */
  abstract counts(): Promise<Counts>;
  /** Writes the external cache into the kernel; returns when that is done. */
  abstract commit(): Promise<void>;
  /** The command that asks its daemon something, as a shell would type it. */
  abstract client(args: readonly string[]): readonly string[];
  protected abstract readonly daemon: readonly string[];

  get pid(): number {
    return this.process.pid;
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** CPU time of the whole process so far, threads that ended included. */
  cpuUs(): number {
    return processCpuUs(this.pid);
  }

  rssBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** `ctsync ARGS` or `conntrackd FLAGS`, which must succeed; what it printed. */
  command(...args: readonly string[]): Promise<string> {
    return this.namespace.run(this.client(args), { deadlineMs: COMMAND_DEADLINE_MS });
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Starts it and returns once it answers on its control socket. */
  async start(): Promise<void> {
    const started = this.namespace.spawn(this.daemon);
    this.#process = started;
    const answers = (): Promise<boolean> =>
      this.counts().then(
        () => true,
        () => !started.running,
      );
    await until(answers, START_DEADLINE_MS, `${this.program} answers`, START_POLL_MS);
    if (!started.running) throw new Error(`${this.program} ended at once; it said:\n${started.output}`);
  }

  /** Ends it in good order; or, with SIGKILL, at once, even when it was halted. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.signal(signal);
    await this.process.exited;
  }

  /** Clears away what keeps a killed one from starting again. */
  afterDeath(): void {}

  protected get process(): LabProcess {
    if (this.#process === undefined) throw new Error(`${this.program} was not started`);
    return this.#process;
  }

  /** Path of its control socket. */
  protected socket(suffix: string): string {
    return join(this.namespace.lab.directory, `${this.namespace.name}.${suffix}`);
  }
}

class CtsyncNode extends MeasuredNode {
  readonly program = "ctsync";
  protected readonly daemon = [CTSYNC, "daemon", "--config", this.config];
  client = (args: readonly string[]): string[] => [CTSYNC, ...args, "--config", this.config];

  async counts(): Promise<Counts> {
    const response = await fetch("http://ctsync/v1/status", { unix: this.socket("sock") });
    const { internal, external, ready, peer } = (await response.json()) as StatusReport;
    return { internal, external, heard: ready && peer.state === "connected" };
  }

  async commit(): Promise<void> {
    const unix = this.socket("sock");
    const response = await fetch("http://ctsync/v1/commit", { unix, method: "POST", body: "{}" });
    const said = await response.text();
    if (!said.includes('"ok":true')) throw new Error(`ctsync commit: ${said}`);
  }
}

class ConntrackdNode extends MeasuredNode {
  readonly program = "conntrackd";
  protected readonly daemon = [CONNTRACKD, "-C", this.config];
  client = (args: readonly string[]): string[] => [CONNTRACKD, "-C", this.config, ...args];

  override afterDeath(): void {
    rmSync(this.socket("lock"), { force: true });
  }

  counts(): Promise<Counts> {
    return conntrackdCounts(this.socket("ctl"));
  }

  commit(): Promise<void> {
    return conntrackdCommit(this.socket("ctl"));
  }
}

/** Writes the program's configuration; the node is not started. */
export async function makeNode(
  program: Program,
  namespace: Namespace,
  ends: Ends,
  options: NodeOptions = {},
): Promise<MeasuredNode> {
  const { lab, name } = namespace;
  const {
    netlinkBufferBytes = NETLINK_BUFFER_BYTES,
    netlinkBufferMaxBytes = NETLINK_BUFFER_MAX_BYTES,
    linkBufferBytes = LINK_BUFFER_BYTES,
    flowsMax = FLOWS_MAX,
  } = options;
  if (program === "conntrackd") {
    const sizes = { hashSize: CONNTRACKD_HASH_SIZE, hashLimit: flowsMax };
    const buffers = { netlinkBufferBytes, netlinkBufferMaxBytes, linkBufferBytes };
    const { externalCache = true, expectations = false } = options;
    const kept = { externalCache, expectations };
    return new ConntrackdNode(
      namespace,
      await writeConntrackdConfig(lab, name, { ...ends, ...sizes, ...buffers, ...kept }),
    );
  }
  const gather = options.gatherMs === undefined ? {} : { gather_ms: options.gatherMs };
  const config = await writeConfig(lab, name, {
    ...ends,
    ignoreAddresses: options.ignoreAddresses ?? [],
    sync: { flows_max: flowsMax, ...options.sync },
    keepalived: { ...options.keepalived },
    netlink: { buffer_bytes: netlinkBufferBytes, buffer_max_bytes: netlinkBufferMaxBytes, ...gather },
    link: { receive_buffer_bytes: linkBufferBytes, send_buffer_bytes: linkBufferBytes },
  });
  return new CtsyncNode(namespace, config);
}
