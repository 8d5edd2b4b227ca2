/**
 * A takeover with real keepalived, SNAT and iptables rules that let INPUT answer, in which the commit comes a second after
 * the virtual addresses: what the outside sends meanwhile is addressed to the new firewall itself.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, INSIDE, OUTSIDE, SYNC } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { B, buildTwoFirewalls, type TwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

setDefaultTimeout(90_000);

const DEADLINE_MS = 20_000;
const CONNECTIONS = 5;
const VIRTUAL = [INSIDE, OUTSIDE].flatMap((side) => [side.virtualIpv4, side.virtualIpv6]);
const TICKING = "SYSTEM:while sleep 0.1; do echo tick; done";

async function start(firewall: Firewall, mode: string, apply: string): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const { lab, name } = namespace;
  const config = await writeConfig(lab, name, {
    ...{ interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress },
    sync: { apply },
    gate: { mode },
    keepalived: { virtual_addresses: VIRTUAL, takeover_by_address: false },
  });
  await namespace.run(["iptables", "-D", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "INVALID"]);
  const daemon = await startDaemon(namespace, config);
  const script = await lab.write(`notify-${name}.sh`, `sleep 1\nexec ${CTSYNC} notify --config ${config} "$@"\n`);
  await firewall.startKeepalived({ notify: `/bin/sh ${script}`, notifyPer: "group" });
  return daemon;
}

const changed = (daemon: Daemon, role: string) =>
  until(async () => (await daemon.status()).lastRoleChange?.role === role, DEADLINE_MS, `a daemon is ${role}`);

/** Connections from inside on which the outside alone speaks, ten times a second. */
async function openTicking({ a, b }: TwoFirewalls): Promise<LabProcess[]> {
  b.spawn(["socat", "TCP4-LISTEN:7001,fork,reuseaddr", TICKING]);
  b.spawn(["socat", "UDP4-LISTEN:7002,fork,reuseaddr", TICKING]);
  const listens = async () => {
    const sockets = await b.run(["ss", "-Hlntu"]);
    return sockets.includes(":7001") && sockets.includes(":7002");
  };
  await until(listens, DEADLINE_MS, "the servers listen");
  const clients = Array.from({ length: CONNECTIONS }, () => a.spawn(["socat", "STDIO", `TCP4:${B.ipv4}:7001`]));
  const udp = a.spawn(["socat", "STDIO", `UDP4:${B.ipv4}:7002`]);
  udp.write("begin\n");
  clients.push(udp);
  for (const client of clients) await client.waitForLine(/^tick$/, DEADLINE_MS);
  return clients;
}

async function counted(namespace: Namespace, name: string): Promise<number> {
  const found = new RegExp(`^${name}\\s+(\\d+)`, "m").exec(await namespace.run(["nstat", "-asz"]));
  return Number(found?.[1] ?? Number.NaN);
}

async function takeOver(
  mode: string,
  apply = "commit",
): Promise<{ resets: number; unreachables: number; alive: number; held: number }> {
  await using lab = await Lab.create();
  const forwardRules = [`-i ${INSIDE.interface} -p udp -m conntrack --ctstate NEW -j ACCEPT`];
  const firewalls = await buildTwoFirewalls(lab, { forwardRules });
  const { fw1, fw2 } = firewalls;
  const primary = await start(fw1, mode, apply);
  await fw1.becomesPrimary();
  await changed(primary, "master");
  const backup = await start(fw2, mode, apply);
  await changed(backup, "backup");
  const clients = await openTicking(firewalls);
  const known = async () => (await backup.dump("external")).filter((line) => /dport=700[12] /.test(line)).length;
  await until(async () => (await known()) === clients.length, DEADLINE_MS, "the backup knows the connections");
  const guarded = mode === "off" ? "off" : apply === "live" ? "open" : "shut";
  await until(async () => (await backup.status()).gate.state === guarded, DEADLINE_MS, `the gate is ${guarded}`);
  const { b } = firewalls;
  const resetsBefore = await counted(fw2.namespace, "TcpOutRsts");
  const unreachablesBefore = await counted(b, "IcmpInDestUnreachs");

  await fw1.die();
  await changed(backup, "master");
  const { gate } = await backup.status();
  expect(gate.state).toBe(mode === "off" ? "off" : "open");
  const since = clients.map((client) => client.lines.length);
  const lives = clients.map((client, i) =>
    client.waitForLine(/^tick$/, mode === "off" ? 2_000 : DEADLINE_MS, since[i]).then(
      () => 1,
      () => 0,
    ),
  );
  const alive = (await Promise.all(lives)).reduce((sum: number, one) => sum + one, 0);
  const resets = (await counted(fw2.namespace, "TcpOutRsts")) - resetsBefore;
  const unreachables = (await counted(b, "IcmpInDestUnreachs")) - unreachablesBefore;
  return { resets, unreachables, alive, held: gate.held };
}

test("without the gate connections die of what the new firewall answers; with it nothing is answered, and all go on", async () => {
  const [without, gated] = await Promise.all([takeOver("off"), takeOver("auto")]);
  console.log(`without ${JSON.stringify(without)}, with ${JSON.stringify(gated)}`);
  expect(without.resets).toBeGreaterThan(0);
  expect(without.alive).toBeLessThan(CONNECTIONS + 1);
  expect(gated).toMatchObject({ resets: 0, unreachables: 0, alive: CONNECTIONS + 1 });
  expect(gated.held).toBeGreaterThan(0);
});

test("where the kernel follows the peer the gate has nothing to wait for: it is open, and all go on", async () => {
  const live = await takeOver("auto", "live");
  expect(live).toEqual({ resets: 0, unreachables: 0, alive: CONNECTIONS + 1, held: 0 });
});
