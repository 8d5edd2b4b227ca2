/** What a real keepalived says and does, and what the daemon makes of it: by the fifo, by the addresses, by both. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, OUTSIDE, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 15_000;
const fifoOf = (lab: Lab): string => join(lab.directory, "keepalived.fifo");

async function start(
  firewall: Firewall,
  keepalived: Readonly<Record<string, string | boolean | readonly string[]>>,
): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const config = await writeConfig(namespace.lab, namespace.name, { ...link, keepalived });
  return startDaemon(namespace, config);
}

async function becomes(daemon: Daemon, role: string): Promise<void> {
  const changed = async () => (await daemon.status()).lastRoleChange?.role === role;
  await until(changed, DEADLINE_MS, `the daemon has become ${role}`);
}

const commits = (daemon: Daemon): number => daemon.process.output.match(/master: commit: /g)?.length ?? 0;

test("keepalived's fifo alone: its words, and its end", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const notifyFifo = fifoOf(lab);
  const daemon = await start(fw1, { notify_fifo: notifyFifo, takeover_by_address: false });
  const keepalived = await fw1.startKeepalived({ notifyFifo });
  await becomes(daemon, "master");
  expect(daemon.process.output).toContain("listens to keepalived on ");
  const { keepalived: report, requests } = await daemon.status();
  expect(report).toMatchObject({ fifo: true, fifoSkipped: 0 });
  expect(report.fifoWords).toBeGreaterThan(3); // Two instances and their group, first backup, then master.
  expect(requests.notify).toBeUndefined();
  expect(commits(daemon)).toBe(1);
  await keepalived.stop();
  await becomes(daemon, "stop");
});

test("a keepalived that was there first: what it has said waits in its fifo; a fifo it makes anew is found", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const notifyFifo = fifoOf(lab);
  let keepalived = await fw1.startKeepalived({ notifyFifo });
  await fw1.becomesPrimary();
  const daemon = await start(fw1, { notify_fifo: notifyFifo, instance: "FIREWALL" });
  await becomes(daemon, "master");
  await keepalived.stop(); // It takes its fifo along.
  await becomes(daemon, "stop");
  keepalived = await fw1.startKeepalived({ notifyFifo });
  await becomes(daemon, "master");
  expect((await daemon.status()).keepalived.fifoSkipped).toBeGreaterThan(0); // The instances' own words.
  await keepalived.stop();
});

test("an instance of whom no word is: told by its name, and by those that are; the addresses make the takeover", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const notifyFifo = fifoOf(lab);
  const daemon = await start(fw1, {
    notify_fifo: notifyFifo,
    instance: "FIREWAL",
    virtual_addresses: VIRTUAL_ADDRESSES,
  });
  await fw1.startKeepalived({ notifyFifo });
  const warning =
    /warning: keepalived's fifo speaks of .*group "FIREWALL".*, and not of "FIREWAL" \(keepalived\.instance\)/;
  await daemon.process.waitForLine(warning, DEADLINE_MS);
  await becomes(daemon, "master");
  expect((await daemon.status()).keepalived).toMatchObject({ fifo: true, fifoHasWriter: true });
});

test("fifo and notify command together: each transition is one", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const notifyFifo = fifoOf(lab);
  const daemon = await start(fw1, { notify_fifo: notifyFifo, virtual_addresses: VIRTUAL_ADDRESSES });
  const script = await lab.write("notify.sh", `${CTSYNC} notify --config ${daemon.config} "$@"\n`);
  const keepalived = await fw1.startKeepalived({ notifyFifo, notify: `/bin/sh ${script}`, notifyPer: "instance" });
  await becomes(daemon, "master");
  const told = async () => ((await daemon.status()).requests.notify ?? 0) >= 4;
  await until(told, DEADLINE_MS, "keepalived has called the command for both instances, twice");
  expect(commits(daemon)).toBe(1);
  const { role, keepalived: report } = await daemon.status();
  expect({ role, doubt: report.doubt, held: report.addressesHeld }).toEqual({ role: "master", doubt: null, held: 4 });
  await keepalived.stop();
});

test("a keepalived that tells nobody: the addresses make the takeover, their loss the step-down", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const daemon = await start(fw1, { virtual_addresses: VIRTUAL_ADDRESSES });
  const keepalived = await fw1.startKeepalived();
  await becomes(daemon, "master");
  expect(daemon.process.output).toContain("master: the virtual addresses are here");
  expect(commits(daemon)).toBe(1);
  const doubted = async () => (await daemon.status()).keepalived.doubt;
  expect(await until(doubted, DEADLINE_MS, "status says that no word came")).toContain("keepalived has not said so");
  await keepalived.stop();
  await until(async () => (await daemon.status()).role === "backup", DEADLINE_MS, "the addresses' loss is a step-down");
});

test("a takeover by the addresses begins within milliseconds", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const daemon = await start(fw1, { virtual_addresses: [OUTSIDE.virtualIpv4] });
  const since = daemon.process.lines.length;
  const startMs = performance.now();
  await fw1.namespace.ip(`address add ${OUTSIDE.virtualIpv4}/24 dev ${OUTSIDE.interface}`);
  await daemon.process.waitForLine(/master: commit: /, DEADLINE_MS, since);
  console.log(`from before \`ip address add\` to the commit's end: ${(performance.now() - startMs).toFixed(1)} ms`);
});

test("a daemon that starts where the addresses are is primary, and commits nothing", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  await fw1.namespace.ip(`address add ${OUTSIDE.virtualIpv4}/24 dev ${OUTSIDE.interface}`);
  const daemon = await start(fw1, { virtual_addresses: [OUTSIDE.virtualIpv4] });
  const { role, lastRoleChange, gate } = await daemon.status();
  expect({ role, lastRoleChange, gate: gate.state }).toEqual({ role: "master", lastRoleChange: null, gate: "open" });
  expect(commits(daemon)).toBe(0);
});

test("master without the addresses is obeyed, and doubted aloud", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const daemon = await start(fw1, { virtual_addresses: VIRTUAL_ADDRESSES });
  await daemon.succeed("notify", "master");
  await daemon.process.waitForLine(/warning: the role is master, but none of the virtual addresses/, DEADLINE_MS);
  expect((await daemon.command("status")).stdout).toContain("DOUBTFUL: the role is master");
});

test("200 transitions by the fifo end in the last one, with little work", async () => {
  await using lab = await Lab.create();
  const { fw1 } = await buildTwoFirewalls(lab);
  const notifyFifo = fifoOf(lab);
  const daemon = await start(fw1, { notify_fifo: notifyFifo });
  const fd = openSync(notifyFifo, constants.O_RDWR | constants.O_NONBLOCK); // The daemon has made it.
  for (let i = 1; i <= 200; i++) {
    writeSync(fd, `GROUP "FIREWALL" ${i % 2 === 0 ? "FAULT" : "MASTER"} 100\n`);
    if (i % 20 === 0) await daemon.status(); // Some of them come one by one.
  }
  await becomes(daemon, "fault");
  const { keepalived, role } = await daemon.status();
  expect({ role, words: keepalived.fifoWords }).toEqual({ role: "fault", words: 200 });
  const stepDowns = (): number => daemon.process.output.match(/keepalived says fault/g)?.length ?? 0;
  await until(() => stepDowns() > 0, 5_000, "a step-down has begun");
  expect(stepDowns()).toBeLessThanOrEqual(10); // Not one a word: at most one for each time the words paused.
  writeSync(fd, 'GROUP "FIREWALL" MASTER 100\nGROUP "FIREWALL" FAULT 100\nGROUP "FIREWALL" MASTER 100\n');
  await becomes(daemon, "master");
});
