/**
 * ctsync in the lab: the built executable, with a configuration and a control socket of its own for each daemon.
 */
import { join, resolve } from "node:path";
import type { StatusReport } from "../../src/report.ts";
import { askSocket } from "./control-socket.ts";
import type { Outcome } from "./execute.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { until } from "./until.ts";

export const CTSYNC = resolve(import.meta.dir, "../../dist/ctsync");

const READY_DEADLINE_MS = 10_000;

/** What `sync.apply` is where a test does not say it: any test can be run with the other one too. */
const APPLY = process.env.CTSYNC_TEST_APPLY ?? "commit";

/** What a test says about a daemon; the rest is ctsync's defaults, but for `sync.apply` (APPLY). Keys inside its sections are as in the file. */
export interface LabConfig {
  readonly interface: string;
  readonly local: string;
  readonly peer: string;
  readonly port?: number;
  readonly ignoreAddresses?: readonly string[];
  readonly sync?: Readonly<Record<string, string | number | boolean>>;
  readonly netlink?: Readonly<Record<string, string | number>>;
  readonly link?: Readonly<Record<string, string | number>>;
  readonly daemon?: Readonly<Record<string, string | number>>;
  readonly recorder?: Readonly<Record<string, string | number>>;
  readonly gate?: Readonly<Record<string, string | number | readonly string[]>>;
  readonly keepalived?: Readonly<Record<string, string | boolean | readonly string[]>>;
}

/** A section of the file, left out when there is nothing to say. A JSON string, number or array of them is also TOML's. */
function section(heading: string, settings: object): string[] {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  return lines.length === 0 ? [] : [`${heading}\n${lines.join("")}`];
}

/** Writes NAME.toml into the lab's directory, control socket beside it; returns its path. */
export function writeConfig(lab: Lab, name: string, config: LabConfig): Promise<string> {
  const { local, peer, port, ignoreAddresses } = config;
  const text = [
    ...section("[sync]", { mode: "ftfw", apply: APPLY, ...config.sync }),
    ...section("[[link]]", {
      ...{ transport: "udp", interface: config.interface, local, peer, port: port ?? 3780 },
      ...config.link,
    }),
    ...section("[filter]", ignoreAddresses === undefined ? {} : { ignore_addresses: ignoreAddresses }),
    ...section("[netlink]", { ...config.netlink }),
    ...section("[daemon]", { ...config.daemon }),
    ...section("[recorder]", { path: join(lab.directory, `${name}.ring`), ...config.recorder }),
    ...section("[gate]", { ...config.gate }),
    ...section("[keepalived]", { ...config.keepalived }),
    ...section("[control]", { socket: join(lab.directory, `${name}.sock`) }),
  ];
  return lab.write(`${name}.toml`, text.join("\n"));
}

/** Runs a ctsync command to its end. */
export function ctsync(
  namespace: Namespace,
  args: readonly string[],
  options: { readonly config: string; readonly deadlineMs?: number },
): Promise<Outcome> {
  const deadline = options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs };
  return namespace.exec([CTSYNC, ...args, "--config", options.config], deadline);
}

/** Starts `ctsync daemon` and returns once it answers on its control socket. */
export async function startDaemon(namespace: Namespace, config: string): Promise<Daemon> {
  const daemon = new Daemon(namespace, config, namespace.spawn([CTSYNC, "daemon", "--config", config]));
  const answers = () =>
    daemon.status().then(
      () => true,
      () => false,
    );
  try {
    await until(async () => !daemon.process.running || (await answers()), READY_DEADLINE_MS, "status is answered");
    if (!daemon.process.running) throw new Error(`it ended with exit status ${await daemon.process.exited}`);
    return daemon;
  } catch (error) {
    throw new Error(`ctsync daemon in ${namespace.name}: ${error}; it said:\n${daemon.process.output}`);
  }
}

/** A running daemon and the commands that speak to it. */
export class Daemon {
  readonly namespace: Namespace;
  readonly config: string;
  readonly process: LabProcess;

  constructor(namespace: Namespace, config: string, process: LabProcess) {
    this.namespace = namespace;
    this.config = config;
    this.process = process;
  }

  /** Any client command, whatever its outcome. */
  command(...args: readonly string[]): Promise<Outcome> {
    return ctsync(this.namespace, args, { config: this.config });
  }

  /** A client command that must succeed; returns what it printed. */
  async succeed(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.command(...args);
    if (status !== 0) {
      const said = `${stdout}${stderr}daemon's log:\n${this.process.output}`;
      throw new Error(`ctsync ${args.join(" ")} in ${this.namespace.name}: exit status ${status}\n${said}`);
    }
    return stdout;
  }

  /** What `ctsync status --json` prints. */
  async status(): Promise<StatusReport> {
    const socket = /^socket = "(.*)"$/m.exec(await Bun.file(this.config).text())?.[1];
    if (socket === undefined) throw new Error(`${this.config} names no control socket`);
    return JSON.parse((await askSocket(socket, "GET", "/v1/status")).text);
  }

  /** Lines of a cache's dump. */
  async dump(cache: "internal" | "external"): Promise<string[]> {
    return (await this.succeed("dump", `--${cache}`)).split("\n").filter(Boolean);
  }

  /** Orderly end; its exit status. */
  stop(): Promise<number> {
    return this.process.stop();
  }
}
