/**
 * The pair that stands for one row of the table: two firewalls with one subject on both, so many other flows, and traffic.
 * FW1 is primary to begin with, and FW2 off. Whoever is rebooted comes back with an empty kernel.
 */
import { availableParallelism } from "node:os";
import { type Firewall, INSIDE, type InputInvalid, OUTSIDE, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { kernelCount } from "../lab/kernel-dump.ts";
import { Lab } from "../lab/lab.ts";
import { type MeasuredNode, makeNode } from "../lab/measured-node.ts";
import type { LabProcess } from "../lab/process.ts";
import { A, buildTwoFirewalls, type TwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { ADVERT_MS } from "./plan.ts";
import { joinPeer, notifyScript, type Subject } from "./subjects.ts";
import { Traffic } from "./traffic.ts";
import { ECHO_PORT, FTP_PASSIVE_PORT, FTP_PORTS, INBOUND_PORT, PUSH_PORT, TALK_PORT } from "./traffic-protocol.ts";
import { Wire } from "./wire.ts";

export interface StandOptions {
  readonly subject: Subject;
  readonly flows: number;
  readonly input: InputInvalid;
  readonly connections: number;
  /** Where packets are recorded. */
  readonly traceFolder?: string | undefined;
}

const GENERATE = Bun.fileURLToPath(new URL("../lab/generate.ts", import.meta.url));
const CONNTRACK_MAX = 2_000_000;
const CONNTRACK_BUCKETS = 1_048_576;
/** Outlives the longest row. */
const FLOW_TIMEOUT_SECONDS = 86_400;
const FILL_DEADLINE_MS = 60_000;
const SYNC_DEADLINE_MS = 60_000;
const NOTE_DEADLINE_MS = 120_000;
/** What a firewall itself says (VRRP) is a flow of its kernel, and not of each subject's cache. */
const OWN_FLOWS_MAX = 8;
const STUCK_MS = 3_000;
const READY_DEADLINE_MS = 10_000;
/** The daemons of both firewalls, each with real-time priority, may share a processor; else one waits 100 ms for the other's slice. */
const TIME_SLICE_MS = 1;
/** The hosts stand for other machines: else the kernel stops them for 50 ms once they have had 950 of a second. */
const NOT_STOPPED = -1;
/** A pair that is measured is at rest: the last state of a new connection has long arrived. */
const REST_MS = 200;

/** What may begin besides TCP from inside, in iptables' words. */
const IS_NEW = "-m conntrack --ctstate NEW";
/** For both families: the silent client's one word, and connections from outside. */
const FORWARD_RULES = [
  `-i ${INSIDE.interface} -p udp --dport ${PUSH_PORT} ${IS_NEW} -j ACCEPT`,
  `-i ${OUTSIDE.interface} -p tcp --dport ${TALK_PORT} --syn ${IS_NEW} -j ACCEPT`,
];
/** What the two daemons say to each other is no flow of theirs, as the README advises. */
const RAW_RULES = `*raw
-A PREROUTING -i ${SYNC.interface} -j NOTRACK
-A OUTPUT -o ${SYNC.interface} -j NOTRACK
-A PREROUTING -p tcp --dport 21 -j CT --helper ftp
COMMIT
`;
const FTP_DATA = `${FTP_PASSIVE_PORT}:${FTP_PASSIVE_PORT + FTP_PORTS - 1}`;
/** IPv4 alone. FTP's data connections pass as what the helper expects, or not at all. */
const MORE_RULES = `*nat
-A PREROUTING -i ${OUTSIDE.interface} -d ${OUTSIDE.virtualIpv4} -p tcp --dport ${INBOUND_PORT} -j DNAT --to ${A.ipv4}:${TALK_PORT}
COMMIT
*filter
:OPENING - [0:0]
-I FORWARD 1 -i ${INSIDE.interface} -p tcp --dport ${FTP_DATA} ${IS_NEW} -j DROP
-A FORWARD -j OPENING
COMMIT
`;
/**
 * UDP and ICMP have no first packet that could be told from a later one: where new ones may pass at any time, a firewall that
 * knows nothing of them would let them go on. So they may while they are opened.
 */
const OPENING_RULES = `*filter
-A OPENING -i ${INSIDE.interface} -p udp --dport ${ECHO_PORT} ${IS_NEW} -j ACCEPT
-A OPENING -i ${INSIDE.interface} -p icmp ${IS_NEW} -j ACCEPT
COMMIT
`;
const OPENED_RULES = "*filter\n-F OPENING\nCOMMIT\n";

export class Machine {
  readonly firewall: Firewall;
  readonly subject: Subject;
  readonly node: MeasuredNode;
  /** Settles when keepalived's first word has been worked on. */
  joined: Promise<unknown> = Promise.resolve();
  #keepalived: LabProcess | undefined;

  constructor(firewall: Firewall, subject: Subject, node: MeasuredNode) {
    this.firewall = firewall;
    this.subject = subject;
    this.node = node;
  }

  get keepalived(): LabProcess {
    if (this.#keepalived === undefined) throw new Error(`keepalived does not run on ${this.firewall.namespace.name}`);
    return this.#keepalived;
  }

  get kernelFlows(): number {
    return kernelCount(this.firewall.namespace);
  }

  async startKeepalived(): Promise<void> {
    const { lab, name } = this.firewall.namespace;
    const note = `echo "$3 $(date +%s.%N)" >> ${this.#notes}\n`;
    const script = await lab.write(`notify-${name}.sh`, notifyScript(this.subject, this.node) + note);
    const ready = this.subject.isAsked ? await lab.write(`ready-${name}.sh`, `${this.#asks}\n`) : undefined;
    const scripts = { notify: `/bin/sh ${script}`, readyScript: ready && `/bin/sh ${ready}` };
    this.#keepalived = await this.firewall.startKeepalived(scripts);
  }

  /** Until keepalived knows that this firewall is ready, its priority is the lowest. */
  async hasItsPriority(): Promise<void> {
    if (this.subject.isAsked)
      await this.keepalived.waitForLine(/VRRP_Script\(ctsync_ready\) succeeded/, READY_DEADLINE_MS);
  }

  async startDaemon(): Promise<void> {
    await this.node.start();
    await joinPeer(this.subject, this.node);
  }

  async die(): Promise<void> {
    await this.firewall.die();
    this.node.afterDeath();
  }

  async boot(): Promise<void> {
    const { namespace } = this.firewall;
    await this.firewall.boot();
    await namespace.run(["iptables-restore"], { stdin: RAW_RULES });
    await this.#moreRules(MORE_RULES);
    await this.#isFresh();
  }

  /** While it does so, UDP streams and pings may begin. */
  async whileOpening<T>(open: () => Promise<T>): Promise<T> {
    await this.#moreRules(OPENING_RULES);
    try {
      return await open();
    } finally {
      await this.#moreRules(OPENED_RULES);
    }
  }

  async #moreRules(rules: string): Promise<void> {
    await this.firewall.namespace.run(["iptables-restore", "--noflush"], { stdin: rules });
  }

  /** Nothing is left of what it was before. */
  async #isFresh(): Promise<void> {
    const { namespace } = this.firewall;
    const flows = this.kernelFlows;
    if (flows > OWN_FLOWS_MAX) throw new Error(`${namespace.name} comes back with ${flows} flows in its kernel`);
    if ((await namespace.pids()).length > 0) throw new Error(`${namespace.name} comes back with a process`);
    if ((await namespace.run(["nft", "list", "tables"])).includes("inet ctsync"))
      throw new Error(`${namespace.name} comes back with a gate`);
  }

  /** How often keepalived's script has come to its end for a role, and when it did last. */
  async notes(role: "MASTER" | "BACKUP"): Promise<{ count: number; lastMs: number }> {
    const file = Bun.file(this.#notes);
    const lines = (await file.exists()) ? (await file.text()).split("\n").filter((line) => line.startsWith(role)) : [];
    return { count: lines.length, lastMs: Number(lines.at(-1)?.split(" ")[1]) * 1_000 };
  }

  /** Waits for the script's next end after `count` of them; when it was. */
  async noted(role: "MASTER" | "BACKUP", count: number): Promise<number> {
    const what = `keepalived's script is done with ${role} on ${this.firewall.namespace.name}`;
    const more = async () => (await this.notes(role)).count > count;
    await until(more, NOTE_DEADLINE_MS, what);
    return (await this.notes(role)).lastMs;
  }

  get #asks(): string {
    return this.node.client(["ready", "--quiet"]).join(" ");
  }

  get #notes(): string {
    const { lab, name } = this.firewall.namespace;
    return `${lab.directory}/notes-${name}`;
  }
}

export class Stand implements AsyncDisposable {
  readonly options: StandOptions;
  readonly fw1: Machine;
  readonly fw2: Machine;
  readonly traffic: Traffic;
  readonly wire: Wire;
  readonly #lab: Lab;

  static async build(options: StandOptions): Promise<Stand> {
    const lab = await Lab.create();
    try {
      return await Stand.#build(lab, options);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #build(lab: Lab, options: StandOptions): Promise<Stand> {
    lab.machineSysctl("net.netfilter.nf_conntrack_max", CONNTRACK_MAX);
    lab.machineSysctl("net.netfilter.nf_conntrack_buckets", CONNTRACK_BUCKETS);
    lab.machineSysctl("kernel.sched_rr_timeslice_ms", TIME_SLICE_MS);
    lab.machineSysctl("kernel.sched_rt_runtime_us", NOT_STOPPED);
    const firewalls = await buildTwoFirewalls(lab, {
      advertSeconds: ADVERT_MS / 1_000,
      inputInvalid: options.input,
      forwardRules: FORWARD_RULES,
    });
    giveProcessors(firewalls);
    const [fw1, fw2] = [await machine(firewalls.fw1, options.subject), await machine(firewalls.fw2, options.subject)];
    const wire = await Wire.listen(firewalls, options.traceFolder);
    await fw1.boot();
    await fw1.startDaemon();
    await fw1.startKeepalived();
    await fw1.firewall.becomesPrimary();
    await fw1.noted("MASTER", 0);
    await fw1.hasItsPriority();
    if (options.flows > 0) await fill(fw1, options.flows);
    return new Stand(lab, options, fw1, fw2, await Traffic.start(firewalls), wire);
  }

  private constructor(lab: Lab, options: StandOptions, fw1: Machine, fw2: Machine, traffic: Traffic, wire: Wire) {
    this.#lab = lab;
    this.options = options;
    this.fw1 = fw1;
    this.fw2 = fw2;
    this.traffic = traffic;
    this.wire = wire;
  }

  /** A booted firewall becomes backup. */
  async join(machine: Machine): Promise<void> {
    const { count } = await machine.notes("BACKUP");
    await machine.startDaemon();
    await machine.startKeepalived();
    machine.joined = machine.noted("BACKUP", count);
    machine.joined.catch(() => undefined); // It is awaited later.
  }

  async reboot(machine: Machine): Promise<void> {
    await machine.die();
    await machine.boot();
    await this.join(machine);
  }

  /**
   * The backup holds what the primary's daemon knows, and the pair has come to rest. Of conntrackd it is enough that nothing has
   * come for a while: what it lacks of a large table then, it never gets, and the flows that are missing tell.
   */
  async synchronised(backup: Machine): Promise<void> {
    const primary = backup === this.fw1 ? this.fw2 : this.fw1;
    const { program, isLive } = backup.subject;
    let most = { held: -1, atMs: performance.now() };
    let last = (): string => "";
    const holdsAll = async (): Promise<boolean> => {
      const [there, here] = await Promise.all([primary.node.counts(), backup.node.counts()]);
      // Without an external cache, conntrackd counts none.
      const inCache = isLive && program === "conntrackd" ? Number.POSITIVE_INFINITY : here.external;
      const held = Math.min(inCache, isLive ? backup.kernelFlows : Number.POSITIVE_INFINITY);
      last = () => `${JSON.stringify({ there, here })}, kernels ${primary.kernelFlows} and ${backup.kernelFlows}`;
      if (held > most.held) most = { held, atMs: performance.now() };
      const isStuck = program === "conntrackd" && performance.now() - most.atMs > STUCK_MS;
      const isComplete = there.internal >= this.options.flows && held >= there.internal - OWN_FLOWS_MAX;
      return here.heard && (isComplete || isStuck);
    };
    await backup.joined;
    try {
      await until(holdsAll, SYNC_DEADLINE_MS, "the backup holds what the primary has");
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}: ${last()}`);
    }
    await Bun.sleep(REST_MS);
  }

  /** What an earlier cycle has lost of the other flows stands again. */
  async refill(): Promise<void> {
    const { fw1, options } = this;
    if (fw1.kernelFlows < options.flows) await fill(fw1, options.flows);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lab[Symbol.asyncDispose]();
  }
}

/**
 * The hosts have a processor of their own. Real-time priority alone does not keep the firewalls' daemons from running before
 * them: on a processor where ordinary threads wait for long, the kernel runs nothing else for 50 ms.
 */
function giveProcessors({ a, b, fw1, fw2 }: TwoFirewalls): void {
  const count = availableParallelism();
  if (count < 2) return;
  for (const host of [a, b]) host.processors = "0";
  for (const { namespace } of [fw1, fw2]) namespace.processors = `1-${count - 1}`;
}

async function machine(firewall: Firewall, subject: Subject): Promise<Machine> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const ends = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const node = await makeNode(subject.program, namespace, ends, {
    ignoreAddresses: VIRTUAL_ADDRESSES,
    ...subject.options,
  });
  return new Machine(firewall, subject, node);
}

async function fill({ firewall }: Machine, flows: number): Promise<void> {
  const flags = ["--count", `${flows}`, "--snat", "--timeout", `${FLOW_TIMEOUT_SECONDS}`];
  await firewall.namespace.run([process.execPath, GENERATE, ...flags], { deadlineMs: FILL_DEADLINE_MS });
}
