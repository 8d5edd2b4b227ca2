/** A planned handover between two sealed firewalls, on real keepalived: nothing dies of it, nothing is even INVALID. */
import { describe, expect, test } from "bun:test";
import type { Failover } from "../../src/recorder/timeline.ts";
import { BusyConnections } from "../lab/busy-connections.ts";
import { conntrackTable } from "../lab/conntrack.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import { type Firewall, INSIDE, OUTSIDE, SYNC } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import type { LineSession } from "../lab/line-session.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { SshServer } from "../lab/ssh.ts";
import { B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

const TEST_MS = 90_000;
const DEADLINE_MS = 15_000;
const CONNECTIONS = 200;
const HOLD_SECONDS = 5;

type Apply = "live" | "commit";

async function startNode(
  { namespace, syncAddress, peerSyncAddress }: Firewall,
  key: string,
  apply?: Apply,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Daemon> {
  const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const settings = { link: { key_file: key }, ...(apply === undefined ? {} : { sync: { apply } }), ...more };
  const config = await writeConfig(namespace.lab, namespace.name, { ...link, ...settings });
  return startDaemon(namespace, config);
}

/** What lets keepalived move, by the weight of the script: none, so that it fails altogether, or points of priority. Or no script. */
type Weight = "none" | "no script" | number;

const keepalived = (firewall: Firewall, { config }: Daemon, weight?: Weight): Promise<LabProcess> => {
  const ask = (...flags: string[]) => [CTSYNC, "ready", ...flags, "--quiet", "--config", config].join(" ");
  return firewall.startKeepalived({
    notify: `${CTSYNC} notify --config ${config}`,
    nopreempt: typeof weight !== "number",
    ...(weight === "none" ? { asideScript: ask("--aside") } : {}),
    ...(typeof weight === "number" ? { readyScript: ask(), readyWeight: weight } : {}),
  });
};

const becomes = (daemon: Daemon, role: string): Promise<boolean> =>
  until(
    async () => (await daemon.status()).lastRoleChange?.role === role,
    DEADLINE_MS,
    `${daemon.namespace.name} is ${role}`,
  );

/** Resets that this machine's kernel sent. */
async function resets({ namespace }: Firewall): Promise<number> {
  const text = await namespace.run(["cat", "/proc/net/snmp"]);
  const [names, numbers] = text.split("\n").filter((line) => line.startsWith("Tcp: "));
  return Number(numbers?.split(" ")[names?.split(" ").indexOf("OutRsts") ?? 0]);
}

interface Busy {
  readonly a: Namespace;
  readonly b: Namespace;
  readonly fw1: Firewall;
  readonly fw2: Firewall;
  readonly primary: Daemon; // On FW1, whose priority is the higher one.
  readonly backup: Daemon;
  /** Of FW1. */
  readonly vrrp: LabProcess;
  readonly connections: BusyConnections;
  readonly session: LineSession;
}

/** Two sealed firewalls with busy connections and a session through them, all of which the backup has. */
async function startBusy(
  lab: Lab,
  weight: Weight,
  apply?: Apply,
  more?: Readonly<Record<string, unknown>>,
): Promise<Busy> {
  const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
  const key = `${lab.directory}/link.key`;
  await succeed([CTSYNC, "keygen", key]);
  const primary = await startNode(fw1, key, apply, more);
  const vrrp = await keepalived(fw1, primary, weight);
  await becomes(primary, "master");
  const backup = await startNode(fw2, key, apply, more);
  await keepalived(fw2, backup, weight);
  await becomes(backup, "backup");

  await BusyConnections.serve(b);
  const connections = await BusyConnections.open(a, CONNECTIONS);
  const ssh = await SshServer.start(b);
  const session = await ssh.open(a, B.ipv4, 20);
  await until(async () => (await backup.status()).external > CONNECTIONS, DEADLINE_MS, "the backup has them");
  await until(async () => (await backup.command("ready")).status === 0, DEADLINE_MS, "the backup is ready");
  return { a, b, fw1, fw2, primary, backup, vrrp, connections, session };
}

/** Every connection is answered again and again, none has ended, and no packet met a kernel that did not know its flow. */
async function expectNothingLost({ fw1, fw2, primary, backup, connections, session }: Busy): Promise<void> {
  await session.nextAnswer(DEADLINE_MS);
  await connections.goOn(DEADLINE_MS);
  expect(connections.last).toMatchObject({ open: CONNECTIONS, ended: 0 });
  expect(session.answersAreComplete).toBe(true);
  expect([await fw1.invalidCount(), await fw2.invalidCount()]).toEqual([0, 0]);
  expect([await resets(fw1), await resets(fw2)]).toEqual([0, 0]);
  for (const daemon of [primary, backup]) expect((await daemon.status()).gate.unanswered).toBe(0); // Before the rules count it.
}

describe("a planned handover", () => {
  test(
    "keeps 200 busy connections and a session alive: none ends, no reset, no packet INVALID; a death undoes it",
    async () => {
      await using lab = await Lab.create();
      const busy = await startBusy(lab, "none");
      const { fw1, fw2, primary, backup, session } = busy;
      const refused = await backup.command("handover");
      expect(refused).toMatchObject({ status: 1, stdout: "" });
      expect(refused.stderr).toContain("this node is backup, not primary: run it on the other firewall");

      const said = await primary.succeed("handover", "--timeout", "20", "--hold", "60");
      expect(said).toMatch(/is proven to hold all \d+ flows/);
      expect(said).toMatch(/has committed \d+ flows ahead/);
      expect(said).toContain("is primary, this node is fault");
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);
      await expectNothingLost(busy);
      expect(await primary.command("ready")).toMatchObject({ status: 1 });

      const told = async () => JSON.parse((await backup.succeed("timeline", "--json")) || "null") as Failover | null;
      await until(async () => (await told())?.summary.doneMs, DEADLINE_MS, "the takeover is recorded");
      expect((await told())?.summary).toMatchObject({ refused: 0, ok: true });
      expect((await told())?.moments.some(({ kind }) => kind === "handover")).toBe(true);

      // Within --hold the new primary dies: the old one is wanted, and comes.
      await fw2.die();
      await fw1.becomesPrimary();
      await becomes(primary, "master");
      expect(await primary.command("ready", "--aside")).toMatchObject({ status: 0 });
      await session.nextAnswer(DEADLINE_MS);
      expect(session.answersAreComplete).toBe(true);
      await session.close();
    },
    TEST_MS,
  );

  test(
    "moves by a weight of -60 points too, and the addresses return when its hold is over: nothing is lost either way",
    async () => {
      await using lab = await Lab.create();
      const busy = await startBusy(lab, -60, "live");
      const { fw1, fw2, primary, backup } = busy;
      const said = await primary.succeed("handover", "--timeout", "20", "--hold", String(HOLD_SECONDS));
      expect(said).toContain("is primary, this node is backup");
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);
      expect(await primary.command("ready", "--aside")).toMatchObject({ status: 1 });
      await expectNothingLost(busy);

      // Its priority is the higher one again, once it has all that the other one has.
      await fw1.becomesPrimary();
      await becomes(primary, "master");
      await becomes(backup, "backup");
      await expectNothingLost(busy);
      expect(await primary.command("ready", "--aside")).toMatchObject({ status: 0 });
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([true, false]);
    },
    TEST_MS,
  );

  test(
    "moves by a weight of +60 points too, and is handed back while its hold lasts: no packet meets a kernel without its flow",
    async () => {
      await using lab = await Lab.create();
      const busy = await startBusy(lab, 60, "commit");
      const { fw1, fw2, primary, backup } = busy;
      const said = await primary.succeed("handover", "--timeout", "20");
      expect(said).toMatch(/has committed \d+ flows ahead/);
      expect(said).toContain("is primary, this node is backup");
      await expectNothingLost(busy);
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);

      // Both stand aside for this moment, and then the priorities are what they are without the scripts.
      expect(await primary.command("ready")).toMatchObject({ status: 1 });
      const back = await backup.succeed("handover", "--timeout", "20");
      expect(back).toMatch(/has committed \d+ flows ahead/);
      expect(back).toContain("is primary, this node is backup");
      await expectNothingLost(busy);
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([true, false]);
      expect(await primary.command("ready")).toMatchObject({ status: 0 });
    },
    TEST_MS,
  );

  test.each(["live", "commit"] as const)(
    "%s: where each way of a connection has a firewall of its own for a while, none is INVALID, nor of those that began meanwhile",
    async (apply) => {
      await using lab = await Lab.create();
      const virtual = [INSIDE.virtualIpv4, OUTSIDE.virtualIpv4];
      const busy = await startBusy(lab, "no script", apply, { keepalived: { virtual_addresses: virtual } });
      const { a, b, fw1, fw2, primary, backup, vrrp } = busy;
      const stands = (state: string) => backup.status().then((status) => status.gate.state === state);
      await until(() => stands(apply === "live" ? "open" : "shut"), DEADLINE_MS, "the gate of FW2 stands as it should");
      // B goes on sending to FW1, as long as a neighbour does that has not heard of the move yet, and much longer.
      const address = await fw1.namespace.run(["cat", `/sys/class/net/${OUTSIDE.interface}/address`]);
      await b.ip(`neigh replace ${OUTSIDE.virtualIpv4} lladdr ${address.trim()} dev eth0 nud permanent`);

      const handover = primary.command("handover", "--timeout", "60");
      const answered = handover.then(({ stdout, stderr }) =>
        Promise.reject(new Error(`too early: ${stdout}${stderr}`)),
      );
      await Promise.race([answered, primary.process.waitForLine(/stands aside/, DEADLINE_MS)]);
      const begun = await BusyConnections.open(a, CONNECTIONS);
      const known = async () =>
        (await conntrackTable(fw2.namespace)).filter((line) => /ESTABLISHED.*dport=7100 /.test(line)).length;
      await until(
        async () => (await known()) === 2 * CONNECTIONS,
        DEADLINE_MS,
        "what began meanwhile is in FW2's kernel",
      );
      expect(await stands(apply === "live" ? "open" : "shut")).toBe(true); // For what begins from now on.
      await vrrp.stop();
      expect(await handover).toMatchObject({ status: 0, stderr: "" });
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);
      await expectNothingLost(busy);
      await expectNothingLost({ ...busy, connections: begun });
      expect((await backup.status()).gate.held).toBe(0);
    },
    TEST_MS,
  );

  test(
    "that keepalived does not follow is taken back, and says so; without a sealed peer it drains, and says so",
    async () => {
      await using lab = await Lab.create();
      const { fw1, fw2 } = await buildTwoFirewalls(lab);
      const primary = await startNode(fw1, "");
      await keepalived(fw1, primary);
      await becomes(primary, "master");
      const alone = await primary.command("handover", "--timeout", "1");
      expect(alone.status).toBe(1);
      expect(alone.stderr).toContain("is not connected, so nobody can take over");

      const backup = await startNode(fw2, "");
      await until(async () => (await primary.status()).peer.state === "connected", DEADLINE_MS, "they are connected");
      await until(async () => (await backup.status()).ready, DEADLINE_MS, "the backup is ready");
      const { status, stdout, stderr } = await primary.command("handover", "--timeout", "1");
      expect(status).toBe(1);
      expect(stdout).toContain("no proof, and it commits only when it takes over");
      expect(stderr).toContain("keepalived did not move within 1 s, and this node is primary as before");
      expect(await primary.command("ready")).toMatchObject({ status: 0 });
      expect(await fw1.isPrimary()).toBe(true);
    },
    TEST_MS,
  );
});
