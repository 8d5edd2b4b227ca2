/**
 * Two real keepaliveds that do not hear each other, while the sync link lives: both firewalls are primary, both say so,
 * and once the two hear each other again, the one that stays takes on what the other one let in meanwhile, and nothing that
 * has ended.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { conntrackTable } from "../lab/conntrack.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import { type Firewall, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { openLines, startAnswering } from "../lab/line-session.ts";
import { Loss } from "../lab/loss.ts";
import { A, B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { windows } from "./windows.ts";

setDefaultTimeout(90_000);

const DEADLINE_MS = 20_000;

async function start(firewall: Firewall, keyFile: string): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const { lab, name } = namespace;
  const notifyFifo = join(lab.directory, `${name}.fifo`);
  const config = await writeConfig(lab, name, {
    ...{ interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress },
    link: { key_file: keyFile },
    keepalived: { notify_fifo: notifyFifo, instance: "FIREWALL", virtual_addresses: VIRTUAL_ADDRESSES },
  });
  const daemon = await startDaemon(namespace, config);
  // The first one, which announces its addresses again while the second one has them too, would have the connections back.
  await firewall.startKeepalived({ notifyFifo, announcesOnce: true });
  return daemon;
}

const isMaster = (daemon: Daemon) => async () => {
  const { role, lastRoleChange } = await daemon.status();
  return role === "master" && lastRoleChange?.role === "master";
};

const flowsTo = async ({ namespace }: Firewall, port: number): Promise<number> =>
  (await conntrackTable(namespace)).filter((line) => line.includes(`src=${A.ipv4} `) && line.includes(`dport=${port} `))
    .length;

/** FW1 is primary and checks the windows of a connection that goes through it, which FW2 knows too. */
async function begin(lab: Lab) {
  const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
  const keyFile = join(lab.directory, "link.key");
  await succeed([CTSYNC, "keygen", keyFile]);
  const one = await start(fw1, keyFile);
  await until(isMaster(one), DEADLINE_MS, "fw1 is primary");
  const two = await start(fw2, keyFile);
  const ready = async () => (await two.status()).ready;
  await until(ready, DEADLINE_MS, "fw2 holds all that fw1 has");
  for (const port of [7001, 7002]) await startAnswering(b, `TCP4-LISTEN:${port}`);
  const before = await openLines(a, `TCP4:${B.ipv4}:7001`);
  await before.nextAnswer(DEADLINE_MS);
  const known = async () => (await two.dump("external")).some((line) => line.includes("dport=7001"));
  await until(known, DEADLINE_MS, "fw2 knows the connection");
  expect(windows(fw1.namespace, 7001)).toEqual({ known: 1, strict: 1 });
  return { a, fw1, fw2, one, two, before };
}

/** The two keepaliveds hear each other no more. */
async function part(firewalls: readonly Firewall[]): Promise<void> {
  for (const { namespace } of firewalls)
    await namespace.nft(
      "table ip cut { chain input { type filter hook input priority -400; ip protocol vrrp drop; }; }",
    );
}

async function rejoin(firewalls: readonly Firewall[]): Promise<void> {
  for (const { namespace } of firewalls) await namespace.run(["nft", "delete", "table", "ip", "cut"]);
}

const isLax = (firewall: Firewall) => () => Bun.deepEquals(windows(firewall.namespace, 7001), { known: 1, strict: 0 });

test("both primary: alarmed on both sides, and healed without a connection lost", async () => {
  await using lab = await Lab.create();
  const { a, fw1, fw2, one, two, before } = await begin(lab);
  await part([fw1, fw2]);
  await until(isMaster(two), DEADLINE_MS, "fw2 is primary too");
  for (const daemon of [one, two]) {
    await daemon.process.waitForLine(/error: split brain: the peer says that it is master/, DEADLINE_MS);
    const { status, stdout, stderr } = await daemon.command("status");
    expect(status).toBe(1);
    expect(stdout).toMatch(/^SPLIT +BRAIN: the peer has been master too for /m);
    expect(stderr).toContain("split brain");
  }
  await until(isLax(fw1), DEADLINE_MS, "fw1 lets the old connection return, though fw2 has claimed it");
  await before.nextAnswer(DEADLINE_MS);
  const during = await openLines(a, `TCP4:${B.ipv4}:7002`);
  await during.nextAnswer(DEADLINE_MS);

  await rejoin([fw1, fw2]);
  await fw2.becomesBackup();
  await one.process.waitForLine(/warning: split brain is over after \d+ s: this node is master/, DEADLINE_MS);
  // The new one, and the old one if the other kernel was the last to see it move.
  await one.process.waitForLine(/flows of the other primary that were taken on: [12]$/, DEADLINE_MS);
  await two.process.waitForLine(/warning: split brain is over after \d+ s: the peer is master/, DEADLINE_MS);
  await before.nextAnswer(DEADLINE_MS);
  await during.nextAnswer(DEADLINE_MS);
  for (const port of [7001, 7002]) expect(await flowsTo(fw1, port)).toBe(1);
  for (const session of [before, during]) {
    await session.close();
    expect(session.answersAreComplete).toBe(true);
  }
  const { status, stdout } = await one.command("status");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^ +two were primary: [12] flows of the other one taken on /m);
  const isTold = async () => /[12] flows? of the other primary taken on, 0 refused/.test(await one.succeed("timeline"));
  await until(isTold, DEADLINE_MS, "the timeline tells of it");
});

test("both primary while the sync link is cut too: once it heals, what went on through the other one goes on", async () => {
  await using lab = await Lab.create();
  const { fw1, fw2, one, two, before } = await begin(lab);
  const losses = await Promise.all([fw1, fw2].map(({ namespace }) => Loss.of(namespace, SYNC.interface, 100)));
  await part([fw1, fw2]);
  await until(isMaster(two), DEADLINE_MS, "fw2 is primary too");
  await before.nextAnswer(DEADLINE_MS);
  expect(windows(fw1.namespace, 7001)).toEqual({ known: 1, strict: 1 });

  await rejoin([fw1, fw2]);
  await fw2.becomesBackup();
  for (const loss of losses) await loss.heal();
  await until(isLax(fw1), DEADLINE_MS, "fw1 lets the connection return");
  await before.nextAnswer(DEADLINE_MS);
  await before.close();
  expect(before.answersAreComplete).toBe(true);
  for (const daemon of [one, two]) expect(daemon.process.output).not.toContain("split brain");
});
