/**
 * One node of a pair, whichever program it runs: the real conntrackd, or ctsync. What a test says of one it can say of
 * the other, so a pair is tested both ways round by the same words.
 */
import { type Conntrackd, startConntrackd, writeConntrackdConfig } from "./conntrackd.ts";
import { type Daemon, startDaemon, writeConfig } from "./ctsync.ts";
import { type FlowLine, parseFlowLine } from "./flow-line.ts";
import type { Namespace } from "./namespace.ts";

export type Program = "conntrackd" | "ctsync";

export interface SyncLink {
  readonly interface: string;
  readonly local: string;
  readonly peer: string;
  readonly ignoreAddresses?: readonly string[];
  /** ctsync's own settings, as in its file. */
  readonly sync?: Readonly<Record<string, string | number>>;
}

export interface SyncNode {
  readonly program: Program;
  readonly namespace: Namespace;
  /** It hears its peer, and has what it asked for. conntrackd never says. */
  isReady(): Promise<boolean>;
  internal(): Promise<FlowLine[]>;
  external(): Promise<FlowLine[]>;
  /** The external cache becomes the kernel's; then the internal one is read anew and sent to the peer. */
  takeOver(): Promise<void>;
  /** Reads the kernel's table into the internal cache. */
  resync(): Promise<void>;
  bulk(): Promise<void>;
  /** Messages it refused so far, by its own names; empty when there are none. */
  refusals(): Promise<Record<string, number>>;
  /** Ends it in good order; or, with a signal, without one. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, after `stop`. */
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export async function startNode(program: Program, namespace: Namespace, link: SyncLink): Promise<SyncNode> {
  const { lab, name } = namespace;
  if (program === "ctsync") {
    const config = await writeConfig(lab, name, link);
    return new CtsyncNode(await startDaemon(namespace, config));
  }
  const config = await writeConntrackdConfig(lab, name, link);
  return new ConntrackdNode(await startConntrackd(namespace, config));
}

const parse = (lines: readonly string[]): FlowLine[] => lines.filter(Boolean).map(parseFlowLine);

export class CtsyncNode implements SyncNode {
  readonly program = "ctsync";
  daemon: Daemon;

  constructor(daemon: Daemon) {
    this.daemon = daemon;
  }

  get namespace(): Namespace {
    return this.daemon.namespace;
  }

  async isReady(): Promise<boolean> {
    const { ready, peer } = await this.daemon.status();
    return ready && peer.state === "connected";
  }

  internal = async (): Promise<FlowLine[]> => parse(await this.daemon.dump("internal"));
  external = async (): Promise<FlowLine[]> => parse(await this.daemon.dump("external"));

  async takeOver(): Promise<void> {
    await this.daemon.succeed("notify", "master");
  }

  async resync(): Promise<void> {
    await this.daemon.succeed("resync");
  }

  async bulk(): Promise<void> {
    await this.daemon.succeed("bulk");
  }

  async refusals(): Promise<Record<string, number>> {
    const { wire } = (await this.daemon.status()).counters;
    const names = ["truncated", "badSize", "badVersion", "badHeader", "badPayload", "incomplete"];
    const counts = names.map((name) => [name, wire?.[name] ?? Number.NaN] as const);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    if (signal === undefined) await this.daemon.stop();
    else {
      this.daemon.process.kill(signal);
      await this.daemon.process.exited;
    }
  }

  async start(): Promise<void> {
    this.daemon = await startDaemon(this.daemon.namespace, this.daemon.config);
  }

  signal(signal: NodeJS.Signals): void {
    this.daemon.process.kill(signal);
  }
}

export class ConntrackdNode implements SyncNode {
  readonly program = "conntrackd";
  conntrackd: Conntrackd;

  constructor(conntrackd: Conntrackd) {
    this.conntrackd = conntrackd;
  }

  get namespace(): Namespace {
    return this.conntrackd.namespace;
  }

  isReady = (): Promise<boolean> => Promise.resolve(true);
  internal = async (): Promise<FlowLine[]> => parse((await this.conntrackd.run("-i")).split("\n"));
  external = async (): Promise<FlowLine[]> => parse((await this.conntrackd.run("-e")).split("\n"));

  async takeOver(): Promise<void> {
    await this.conntrackd.run("-c");
    await this.conntrackd.run("-f", "external");
    await this.conntrackd.run("-R");
    await this.conntrackd.run("-B");
  }

  async resync(): Promise<void> {
    await this.conntrackd.run("-R");
  }

  async bulk(): Promise<void> {
    await this.conntrackd.run("-B");
  }

  async refusals(): Promise<Record<string, number>> {
    const text = await this.conntrackd.run("-s", "network");
    const received = text.slice(0, text.indexOf("sequence tracking"));
    const counts = [...received.matchAll(/\t\t(.+):\t +(\d+)/g)].map(
      ([, name = "", count]) => [name, Number(count)] as const,
    );
    if (counts.length < 8) throw new Error(`conntrackd names its counters otherwise:\n${text}`);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.signal(signal);
    await this.conntrackd.process.exited;
    this.conntrackd.removeLock();
  }

  async start(): Promise<void> {
    this.conntrackd = await startConntrackd(this.conntrackd.namespace, this.conntrackd.config);
  }

  signal(signal: NodeJS.Signals): void {
    this.conntrackd.process.kill(signal);
  }
}

/** The two by their program, whatever their roles. */
export function programsOf(pair: Readonly<Record<"primary" | "backup", SyncNode>>): {
  ctsync: CtsyncNode;
  conntrackd: ConntrackdNode;
} {
  const nodes = [pair.primary, pair.backup];
  const ctsync = nodes.find((node) => node instanceof CtsyncNode);
  const conntrackd = nodes.find((node) => node instanceof ConntrackdNode);
  if (ctsync === undefined || conntrackd === undefined) throw new Error("the pair is not mixed");
  return { ctsync, conntrackd };
}
