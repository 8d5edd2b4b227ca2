/** keepalived asks `ctsync ready`: a firewall that returns, whose priority is the higher one, waits until it has every flow. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { IPPROTO_TCP, portsWord } from "../../src/flow/flow.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, SYNC } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { openLines, startAnswering } from "../lab/line-session.ts";
import type { LabProcess } from "../lab/process.ts";
import { B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { insert } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

const TEST_MS = 60_000;
const DEADLINE_MS = 15_000;
const FLOWS = 100_000;
/** Of one address. */
const PORTS = 10_000;
/** Acknowledgements pass, and datagrams of a bulk do not. */
const NARROW_BYTES = 200;

class Node {
  readonly firewall: Firewall;
  readonly config: string;
  readonly #answers: string;

  static async of(firewall: Firewall): Promise<Node> {
    const { namespace, syncAddress, peerSyncAddress } = firewall;
    const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
    return new Node(firewall, await writeConfig(namespace.lab, namespace.name, link));
  }

  private constructor(firewall: Firewall, config: string) {
    this.firewall = firewall;
    this.config = config;
    this.#answers = join(firewall.namespace.lab.directory, `answers-${firewall.namespace.name}`);
  }

  startDaemon(): Promise<Daemon> {
    return startDaemon(this.firewall.namespace, this.config);
  }

  async startKeepalived(): Promise<LabProcess> {
    const { lab, name } = this.firewall.namespace;
    const ask = `${CTSYNC} ready --config ${this.config} >> ${this.#answers}\n`;
    const ready = await lab.write(`ready-${name}.sh`, ask);
    return this.firewall.startKeepalived({
      notify: `${CTSYNC} notify --config ${this.config}`,
      readyScript: `/bin/sh ${ready}`,
    });
  }

  /** What each question of keepalived's was answered, so far. */
  async answers(): Promise<string[]> {
    const file = Bun.file(this.#answers);
    return (await file.exists()) ? (await file.text()).split("\n").filter(Boolean) : [];
  }
}

const role = async (daemon: Daemon): Promise<string | undefined> => (await daemon.status()).lastRoleChange?.role;

test(
  "a returning firewall of higher priority takes over once it holds every flow, and not before",
  async () => {
    await using lab = await Lab.create();
    const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
    const [returning, standing] = [await Node.of(fw1), await Node.of(fw2)];
    const primary = await standing.startDaemon();
    await standing.startKeepalived();
    await fw2.becomesPrimary();
    await until(async () => (await role(primary)) === "master", DEADLINE_MS, "FW2's ctsync is master");
    await startAnswering(b, "TCP4-LISTEN:7001");
    const session = await openLines(a, `TCP4:${B.ipv4}:7001`);
    const flows = Array.from({ length: FLOWS }, (_, i) =>
      flowOf({
        ...{ l4proto: IPPROTO_TCP, state: 3 },
        ...{ source: 1 + Math.floor(i / PORTS), ports: portsWord(20_000 + (i % PORTS), 80) },
      }),
    );
    insert({ namespace: fw2.namespace, config: standing.config, socket: "" }, flows, 1_000);
    await until(async () => (await primary.status()).internal >= FLOWS, DEADLINE_MS, "FW2 has the flows");

    // FW1 returns, its ctsync does not yet: keepalived asks ten times, and leaves the addresses where they are.
    await returning.startKeepalived();
    await until(async () => (await returning.answers()).length >= 10, DEADLINE_MS, "keepalived asks FW1");
    expect(new Set((await returning.answers()).map((answer) => answer.split(":")[0]))).toEqual(new Set(["not ready"]));
    expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);

    // Its ctsync is there, the flows are not: large datagrams do not come through.
    await fw1.namespace.nft(`table inet narrow {
      chain input { type filter hook input priority 0; udp dport 3780 meta length > ${NARROW_BYTES} drop; }
    }`);
    const before = (await returning.answers()).length;
    const backup = await returning.startDaemon();
    const since = async () => (await returning.answers()).slice(before);
    const knowsPeer = (answer: string) => answer.startsWith("not ready") && answer.includes(fw2.syncAddress);
    await until(async () => (await since()).filter(knowsPeer).length >= 10, DEADLINE_MS, "FW1 waits for the flows");
    expect((await since()).filter((answer) => answer.startsWith("ready"))).toEqual([]);
    expect((await backup.status()).external).toBeLessThan(FLOWS);
    expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);

    await fw1.namespace.nft("delete table inet narrow");
    await fw1.becomesPrimary(DEADLINE_MS);
    expect(await returning.answers()).toContain(`ready: this node holds all that the peer ${fw2.syncAddress} has`);
    await until(async () => (await role(backup)) === "master", DEADLINE_MS, "FW1's ctsync is master");
    expect((await backup.status()).internal).toBeGreaterThanOrEqual(FLOWS);
    const count = await fw1.namespace.run(["sysctl", "-n", "net.netfilter.nf_conntrack_count"]);
    expect(Number(count)).toBeGreaterThanOrEqual(FLOWS);
    expect(await fw2.isPrimary()).toBeFalse();
    await session.nextAnswer(DEADLINE_MS);
    expect(session.answersAreComplete).toBeTrue();
    await session.close();
  },
  TEST_MS,
);
