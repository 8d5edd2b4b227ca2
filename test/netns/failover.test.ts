/**
 * The founding story: connections through a firewall survive its death, and its return, on real parts.
 *
 * Only FW1 has the rules that open most of these connections, translate and mark them, and shorter timeouts. So what FW2
 * lets pass, and what stands in its kernel, it has from FW1.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { conntrackTable } from "../lab/conntrack.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, OUTSIDE, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { type LineSession, openLines, startAnswering } from "../lab/line-session.ts";
import type { LabProcess } from "../lab/process.ts";
import { SshServer } from "../lab/ssh.ts";
import { A, B, buildTwoFirewalls, type TwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

const TEST_MS = 90_000;
const DEADLINE_MS = 15_000;
/** ssh gives a silent server up after so long. */
const GIVE_UP_SECONDS = 6;
/** The longest silence a user may see: keepalived's 0.7 s, and TCP's next attempts, 1.6 and 3.2 s after the last answer. */
const GAP_MS_MAX = 5_000;
const ESTABLISHED_SECONDS = 1_000;
const MARK = 42;

type Apply = "commit" | "live";

/** A firewall with ctsync and keepalived, which calls ctsync by a script that notes keepalived's words and the exit status. */
class Node {
  readonly firewall: Firewall;
  readonly daemon: Daemon;
  readonly #notes: string;

  static async start(firewall: Firewall, apply: Apply): Promise<Node> {
    const { namespace, syncAddress, peerSyncAddress } = firewall;
    const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
    // With the addresses known the gate stands while a commit is to come: it holds back what else would come before its flow.
    const keepalived = { virtual_addresses: VIRTUAL_ADDRESSES };
    const config = await writeConfig(namespace.lab, namespace.name, { ...link, sync: { apply }, keepalived });
    return new Node(firewall, await startDaemon(namespace, config));
  }

  private constructor(firewall: Firewall, daemon: Daemon) {
    this.firewall = firewall;
    this.daemon = daemon;
    this.#notes = join(firewall.namespace.lab.directory, `notes-${daemon.process.pid}`);
  }

  async startKeepalived(notifyPer: "group" | "instance"): Promise<void> {
    const { lab, name } = this.firewall.namespace;
    const call = `${CTSYNC} notify --config ${this.daemon.config} "$@"\necho "$* exit status $?" >> ${this.#notes}\n`;
    const script = await lab.write(`notify-${name}.sh`, call);
    await this.firewall.startKeepalived({ notify: `/bin/sh ${script}`, notifyPer });
  }

  /** Waits until keepalived has said this, and ctsync has done its work and exited. */
  async noted(words: string): Promise<void> {
    const notes = async () => ((await Bun.file(this.#notes).exists()) ? await Bun.file(this.#notes).text() : "");
    const found = async () => (await notes()).split("\n").find((line) => line.startsWith(words));
    const note = await until(found, DEADLINE_MS, `keepalived says ${words} to ${this.firewall.namespace.name}`);
    expect(note).toMatch(/ exit status 0$/);
  }

  /** Keepalived said as much at its start too, so a note alone does not tell that it was said again. */
  async becomes(role: "master" | "backup"): Promise<void> {
    const changed = async () => (await this.daemon.status()).lastRoleChange?.role === role;
    await until(changed, DEADLINE_MS, `${this.firewall.namespace.name} has become ${role}`);
    expect((await this.daemon.status()).lastRoleChange?.ok).toBe(true);
  }
}

/** Connections of every kind through the firewalls, all of them in use but one. */
class Connections implements AsyncDisposable {
  readonly sessions: Readonly<Record<string, LineSession>>;
  readonly ping: LabProcess;
  /** A TCP connection that says something only when asked to. */
  readonly idle: LabProcess;
  /** One whose client has said all it had to say (CLOSE_WAIT, after FIN_WAIT), and hears the server go on. */
  readonly halfClosed: LabProcess;
  #idleLines = 0;

  static async open({ a, b }: TwoFirewalls): Promise<Connections> {
    const server = await SshServer.start(b);
    await startAnswering(b, "TCP4-LISTEN:7001");
    await startAnswering(b, "UDP4-LISTEN:7002");
    await startAnswering(b, "TCP6-LISTEN:7003");
    await startAnswering(a, "TCP4-LISTEN:7004");
    const sessions = {
      ssh: await server.open(a, B.ipv4, GIVE_UP_SECONDS),
      udp: await openLines(a, `UDP4:${B.ipv4}:7002`),
      ipv6: await openLines(a, `TCP6:[${B.ipv6}]:7003`),
      dnat: await openLines(b, `TCP4:${OUTSIDE.virtualIpv4}:8004`),
    };
    const idle = a.spawn(["socat", "STDIO", `TCP4:${B.ipv4}:7001`]);
    const patient = ["socat", "-t", `${TEST_MS / 1_000}`]; // Else the end of one direction would soon be that of both.
    b.spawn([...patient, "TCP4-LISTEN:7005", "SYSTEM:cat; while sleep 0.1; do echo tick; done"]);
    const listens = async () => (await b.run(["ss", "-Hltn"])).includes(":7005");
    await until(listens, DEADLINE_MS, "the server of the half-closed connection listens");
    const halfClosed = a.spawn(["sh", "-c", `echo all | ${patient.join(" ")} - TCP4:${B.ipv4}:7005`]);
    const ping = a.spawn(["ping", "-n", "-i", "0.2", B.ipv4]);
    const connections = new Connections(sessions, ping, idle, halfClosed);
    await connections.goOn();
    return connections;
  }

  private constructor(
    sessions: Record<string, LineSession>,
    ping: LabProcess,
    idle: LabProcess,
    halfClosed: LabProcess,
  ) {
    this.sessions = sessions;
    this.ping = ping;
    this.idle = idle;
    this.halfClosed = halfClosed;
  }

  /** Each connection is answered something that was asked from now on; the idle one is used last. */
  async goOn(): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.nextAnswer(DEADLINE_MS);
    await this.ping.waitForLine(/^64 bytes from /, DEADLINE_MS, this.ping.lines.length);
    await this.halfClosed.waitForLine(/^tick$/, DEADLINE_MS, this.halfClosed.lines.length);
    this.idle.write(`${++this.#idleLines}\n`);
    await this.idle.waitForLine(new RegExp(`^answer ${this.#idleLines}$`), DEADLINE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.close();
  }

  longestGapMs(sinceMs: number): number {
    return Math.max(...Object.values(this.sessions).map((session) => session.longestGapMs(sinceMs)));
  }
}

/** Opens what the firewalls' common rules do not. Gone when FW1 boots again. */
async function openUp({ namespace }: Firewall): Promise<void> {
  const isNew = ["-m", "conntrack", "--ctstate", "NEW"];
  const iptables = (...rule: string[]) => namespace.run(["iptables", ...rule]);
  await iptables("-A", "FORWARD", ...isNew, "-p", "udp", "-j", "ACCEPT");
  await iptables("-A", "FORWARD", ...isNew, "-p", "icmp", "-j", "ACCEPT");
  await iptables("-A", "FORWARD", ...isNew, "-p", "tcp", "--dport", "7004", "-j", "ACCEPT");
  const toService = ["-d", OUTSIDE.virtualIpv4, "-p", "tcp", "--dport", "8004"];
  await iptables("-t", "nat", "-A", "PREROUTING", ...toService, "-j", "DNAT", "--to", `${A.ipv4}:7004`);
  const mark = ["-j", "CONNMARK", "--set-mark", String(MARK)];
  await iptables("-t", "mangle", "-A", "FORWARD", ...isNew, "-p", "tcp", "--dport", "7001", ...mark);
  await namespace.sysctl({ "net.netfilter.nf_conntrack_tcp_timeout_established": ESTABLISHED_SECONDS });
}

/** A's flows in the kernel, by what is left of a line without its timeout and use count: tuples, status and mark. */
async function flowsOf({ namespace }: Firewall): Promise<Map<string, number>> {
  const flows = new Map<string, number>();
  for (const line of await conntrackTable(namespace)) {
    const [, head, timeoutSeconds, rest] = /^(\S+ +\d+ +\S+ +\d+) (\d+) (.*) use=\d+$/.exec(line) ?? [];
    const isAs = [A.ipv4, A.ipv6].some(
      (address) => line.includes(`src=${address} `) || line.includes(`dst=${address} `),
    );
    if (isAs) flows.set(`${head} ${rest}`, Number(timeoutSeconds));
  }
  return flows;
}

const idleFlow = (flows: Map<string, number>): readonly [string, number] => {
  const [flow, ...others] = [...flows].filter(([line]) => line.includes("dport=7001"));
  expect(others).toEqual([]);
  return flow ?? ["none", 0];
};

async function replicated(from: Node, to: Node): Promise<void> {
  const holdsAll = async () => {
    const [there, here] = [await from.daemon.status(), await to.daemon.status()];
    return here.ready && here.peer.state === "connected" && here.external === there.internal && there.internal > 0;
  };
  await until(holdsAll, DEADLINE_MS, "the backup holds what the primary has");
}

/** A UDP flow that is answered for two seconds becomes a stream; from then on no flow changes but its timeout. */
async function knowsUdpStream(daemon: Daemon): Promise<void> {
  const isStream = (line: string) => line.startsWith("udp ") && line.includes("[ASSURED]");
  const known = async () => (await daemon.dump("external")).some(isStream);
  await until(known, DEADLINE_MS, "the UDP stream is assured, and the backup knows");
}

test.each(["commit", "live"] as const)(
  "connections of every kind survive the death of their firewall, and its return, apply = %s",
  async (apply) => {
    await using lab = await Lab.create();
    const firewalls = await buildTwoFirewalls(lab);
    const { fw1, fw2 } = firewalls;
    await openUp(fw1);
    const primary = await Node.start(fw1, apply);
    await primary.startKeepalived("group");
    await fw1.becomesPrimary();
    await primary.noted("GROUP FIREWALL MASTER");
    const backup = await Node.start(fw2, apply);
    await backup.startKeepalived("instance");

    await using connections = await Connections.open(firewalls);
    await replicated(primary, backup);
    await knowsUdpStream(backup.daemon);
    const before = await flowsOf(fw1);
    const readMs = performance.now();
    expect(before.size).toBe(7);
    expect([...before.keys()].find((flow) => flow.includes("dport=7005"))).toContain(" CLOSE_WAIT ");
    expect(idleFlow(before)[0]).toContain(`mark=${MARK}`);
    const waiting = apply === "live" ? [...before.keys()].sort() : [];
    const follows = async () => Bun.deepEquals([...(await flowsOf(fw2)).keys()].sort(), waiting);
    await until(follows, DEADLINE_MS, `FW2's kernel has ${waiting.length} of them`);

    const deathMs = performance.now();
    await fw1.die();
    const done = apply === "live" ? /master: apply: applied the last 0 flows/ : /master: commit: committed 7 flows/;
    await backup.daemon.process.waitForLine(done, DEADLINE_MS);
    const after = await flowsOf(fw2);
    const elapsedSeconds = (performance.now() - readMs) / 1_000;
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    const lateSeconds = idleFlow(before)[1] - elapsedSeconds - idleFlow(after)[1];
    expect(Math.abs(lateSeconds)).toBeLessThan(4);

    await connections.goOn();
    expect(connections.longestGapMs(deathMs)).toBeLessThan(GAP_MS_MAX);
    await backup.noted("INSTANCE INSIDE MASTER");
    await backup.noted("INSTANCE OUTSIDE MASTER");
    await backup.becomes("master");
    const strictness = ["net.netfilter.nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_tcp_be_liberal"];
    expect(await fw2.namespace.run(["sysctl", "-n", ...strictness])).toBe("0\n0\n");

    await fw1.boot();
    expect((await flowsOf(fw1)).size).toBe(0);
    const returned = await Node.start(fw1, apply);
    await replicated(backup, returned);
    const returnMs = performance.now();
    await returned.startKeepalived("group");
    await returned.noted("GROUP FIREWALL MASTER");
    await backup.noted("INSTANCE INSIDE BACKUP");
    await backup.noted("INSTANCE OUTSIDE BACKUP");
    await returned.becomes("master");
    await backup.becomes("backup");
    expect([...(await flowsOf(fw1)).keys()].sort()).toEqual([...before.keys()].sort());
    await connections.goOn();
    expect(connections.longestGapMs(returnMs)).toBeLessThan(GAP_MS_MAX);
    for (const name of ["ssh", "ipv6", "dnat"]) expect(connections.sessions[name]?.answersAreComplete).toBe(true);
  },
  TEST_MS,
);

test(
  "without ctsync the session dies, and its packets are refused as INVALID",
  async () => {
    await using lab = await Lab.create();
    const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
    await fw1.startKeepalived();
    await fw1.becomesPrimary();
    await fw2.startKeepalived();
    const server = await SshServer.start(b);
    const session = await server.open(a, B.ipv4, GIVE_UP_SECONDS);
    await fw1.die();
    const answeredBefore = session.answered.length;
    await fw2.becomesPrimary();
    await session.client.waitForLine(/Timeout, server .* not responding/, 3 * GIVE_UP_SECONDS * 1_000);
    expect(session.answered.length).toBe(answeredBefore);
    expect(await fw2.invalidCount()).toBeGreaterThan(0);
    const another = await server.open(a, B.ipv4, GIVE_UP_SECONDS);
    await another.close();
  },
  TEST_MS,
);
