/**
 * The pair that stands for one row of the table: two firewalls with one subject on both, so many other flows, and traffic.
 * FW1 is primary to begin with. Whoever is rebooted comes back with an empty kernel.
 */
import { type Firewall, INSIDE, type InputInvalid, OUTSIDE, SYNC } from "../lab/firewall.ts";
import { kernelCount } from "../lab/kernel-dump.ts";
import { Lab } from "../lab/lab.ts";
import { type MeasuredNode, makeNode } from "../lab/measured-node.ts";
import type { LabProcess } from "../lab/process.ts";
import { buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { joinPeer, notifyScript, type Subject } from "./subjects.ts";
import { Traffic } from "./traffic.ts";
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
const STUCK_MS = 10_000;
/** A pair that is measured is at rest: the last state of a new connection has long arrived. */
const REST_MS = 300;
const ADVERT_SECONDS = 0.2;

export class Machine {
  readonly firewall: Firewall;
  readonly subject: Subject;
  readonly node: MeasuredNode;
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
    this.#keepalived = await this.firewall.startKeepalived({ notify: `/bin/sh ${script}` });
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
    await this.firewall.boot();
    // What the two daemons say to each other is no flow of theirs, as the README advises.
    const rules = `*raw\n-A PREROUTING -i ${SYNC.interface} -j NOTRACK\n-A OUTPUT -o ${SYNC.interface} -j NOTRACK\nCOMMIT\n`;
    await this.firewall.namespace.run(["iptables-restore"], { stdin: rules });
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
    const firewalls = await buildTwoFirewalls(lab, {
      advertSeconds: ADVERT_SECONDS,
      inputInvalid: options.input,
      forwardRules: [`-i ${INSIDE.interface} -p udp -m conntrack --ctstate NEW -j ACCEPT`],
    });
    const [fw1, fw2] = [await machine(firewalls.fw1, options.subject), await machine(firewalls.fw2, options.subject)];
    const wire = await Wire.listen(firewalls, options.traceFolder);
    await fw1.boot();
    await fw1.startDaemon();
    await fw1.startKeepalived();
    await fw1.firewall.becomesPrimary();
    await fw1.noted("MASTER", 0);
    if (options.flows > 0) await fill(fw1, options.flows);
    const stand = new Stand(lab, options, fw1, fw2, await Traffic.start(firewalls), wire);
    await fw2.boot();
    await stand.join(fw2);
    return stand;
  }

  private constructor(lab: Lab, options: StandOptions, fw1: Machine, fw2: Machine, traffic: Traffic, wire: Wire) {
    this.#lab = lab;
    this.options = options;
    this.fw1 = fw1;
    this.fw2 = fw2;
    this.traffic = traffic;
    this.wire = wire;
  }

  /** A booted firewall becomes backup: its daemon gets all that the other has, and only then keepalived starts. */
  async join(machine: Machine): Promise<void> {
    await machine.startDaemon();
    await this.synchronised(machine);
    const { count } = await machine.notes("BACKUP");
    await machine.startKeepalived();
    await machine.noted("BACKUP", count);
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
    let most = { held: -1, atMs: performance.now() };
    const holdsAll = async (): Promise<boolean> => {
      const [there, here] = [await primary.node.counts(), await backup.node.counts()];
      const held = backup.subject.isLive ? backup.kernelFlows : here.external;
      if (held > most.held) most = { held, atMs: performance.now() };
      const isStuck = backup.subject.program === "conntrackd" && performance.now() - most.atMs > STUCK_MS;
      const isComplete = there.internal >= this.options.flows && held >= there.internal - OWN_FLOWS_MAX;
      return here.heard && (isComplete || isStuck);
    };
    await until(holdsAll, SYNC_DEADLINE_MS, "the backup holds what the primary has");
    await Bun.sleep(REST_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lab[Symbol.asyncDispose]();
  }
}

async function machine(firewall: Firewall, subject: Subject): Promise<Machine> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const ends = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const virtual = [INSIDE, OUTSIDE].flatMap((side) => [side.virtualIpv4, side.virtualIpv6]);
  const node = await makeNode(subject.program, namespace, ends, { ignoreAddresses: virtual, ...subject.options });
  return new Machine(firewall, subject, node);
}

async function fill({ firewall }: Machine, flows: number): Promise<void> {
  const flags = ["--count", `${flows}`, "--snat", "--timeout", `${FLOW_TIMEOUT_SECONDS}`];
  await firewall.namespace.run([process.execPath, GENERATE, ...flags], { deadlineMs: FILL_DEADLINE_MS });
}
