/**
 * Roles change and change back while the former primary still steps down: what began on it and went on elsewhere meanwhile goes
 * on, and its takeover waits for nothing of that step-down. Two firewalls with real packets and strict windows; the words and the
 * addresses are the test's, so that they come at the worst moment.
 */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import * as f from "../../src/flow/flow.ts";
import { BusyConnections } from "../lab/busy-connections.ts";
import { type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, INSIDE, OUTSIDE, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { buildTwoFirewalls, type TwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { table } from "./kernel-table.ts";
import { windows } from "./windows.ts";

const TEST_MS = 120_000;
const DEADLINE_MS = 30_000;
const CONNECTIONS = 50;
/** So many that a step-down takes seconds. */
const OTHERS = 120_000;
const GENERATE = [process.execPath, resolve(import.meta.dir, "../lab/generate.ts"), "--snat", "--timeout", "3600"];
const MODES = ["live", "commit"] as const;

async function startNode(firewall: Firewall, apply: (typeof MODES)[number]): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const more = { ignoreAddresses: VIRTUAL_ADDRESSES, sync: { apply } };
  return startDaemon(namespace, await writeConfig(namespace.lab, namespace.name, { ...link, ...more }));
}

/** The addresses move, and everybody has heard of it. */
async function move({ a, b }: TwoFirewalls, from: Firewall | undefined, to: Firewall): Promise<void> {
  const each = (word: string): string[] =>
    [INSIDE, OUTSIDE].map((at) => `address ${word} ${at.virtualIpv4}/24 dev ${at.interface}`);
  await from?.namespace.ip(...each("del"));
  await to.namespace.ip(...each("add"));
  for (const host of [a, b]) await host.ip("neigh flush all");
}

/** FW2 is primary, with connections that began there and many other flows; FW1, which applies live, has them all in its kernel. */
async function begin(lab: Lab, apply: (typeof MODES)[number], others: number) {
  const firewalls = await buildTwoFirewalls(lab);
  const { a, b, fw1, fw2 } = firewalls;
  const [two, one] = [await startNode(fw2, apply), await startNode(fw1, "live")];
  await move(firewalls, undefined, fw2);
  await two.succeed("notify", "master");
  await one.succeed("notify", "backup");
  if (others > 0) await fw2.namespace.run([...GENERATE, "--count", `${others}`], { deadlineMs: DEADLINE_MS });
  await BusyConnections.serve(b);
  const connections = await BusyConnections.open(a, CONNECTIONS);
  const hasAll = async () => (await one.status()).apply.standing >= others + CONNECTIONS;
  await until(hasAll, DEADLINE_MS, "FW1 has what FW2 has");
  expect(windows(fw2.namespace, 7100)).toEqual({ known: CONNECTIONS, strict: CONNECTIONS });
  return { firewalls, fw1, fw2, one, two, connections };
}

/** So many commands have called the daemon, which is stopped. */
function called({ namespace, config }: Daemon, count: number): Promise<boolean> {
  const socket = config.replace(/\.toml$/, ".sock");
  const isCalled = async (): Promise<boolean> => {
    const [listening = ""] = (await namespace.run(["ss", "-Hxl", "src", socket])).split("\n");
    const [, , waiting] = listening.split(/\s+/);
    return Number(waiting) === count;
  };
  return until(isCalled, DEADLINE_MS, `${count} commands wait at the control socket`);
}

test.each(MODES)(
  "%s: a takeover amid the step-down breaks that off, and every connection goes on",
  async (apply) => {
    await using lab = await Lab.create();
    const { firewalls, fw1, fw2, one, two, connections } = await begin(lab, apply, OTHERS);
    await move(firewalls, fw2, fw1);
    const [taken, left] = [one.command("notify", "master"), two.command("notify", "backup")];
    await two.process.waitForLine(
      /backup: relax-windows: the windows of 50 TCP flows are checked no more/,
      DEADLINE_MS,
    );
    two.process.kill("SIGSTOP"); // Else it may be through with the rest before it hears that it takes over.
    await connections.goOn();
    expect(windows(fw2.namespace, 7100)).toEqual({ known: CONNECTIONS, strict: 0 });

    await move(firewalls, fw1, fw2);
    const [back, gone] = [two.command("notify", "master"), one.command("notify", "backup")];
    await called(two, 1);
    two.process.kill("SIGCONT");
    await connections.goOn();
    expect(await left).toMatchObject({ status: 0 });
    expect((await left).stdout).toMatch(/^reset-timers: broken off, as this node takes over/m);
    expect((await left).stdout).not.toContain("request:");
    for (const said of [taken, back, gone]) expect(await said).toMatchObject({ status: 0 });
    await connections.goOn();
    expect(connections.last).toMatchObject({ open: CONNECTIONS, ended: 0 });
    // What was shortened before it was broken off has its time back.
    const short = table(fw2.namespace).filter(
      (words) => words[f.ORIG_SRC]! >>> 24 === 10 && words[f.TIMEOUT]! > 0 && words[f.TIMEOUT]! <= 60,
    );
    expect(short).toEqual([]);
  },
  TEST_MS,
);

test(
  "a takeover that comes before the step-down has begun relaxes the windows itself",
  async () => {
    await using lab = await Lab.create();
    const { firewalls, fw1, fw2, two, connections } = await begin(lab, "live", 0);
    await move(firewalls, fw2, fw1);
    const left = two.command("notify", "backup");
    await until(async () => (await two.status()).role === "backup", DEADLINE_MS, "FW2 is no primary");
    const back = await two.succeed("notify", "master");
    await move(firewalls, fw1, fw2);
    expect(await left).toMatchObject({ status: 0 });
    expect(windows(fw2.namespace, 7100)).toEqual({ known: CONNECTIONS, strict: 0 });
    expect(`${back}${(await left).stdout}`).toMatch(/relax-windows: the windows of 50 TCP flows are checked no more/);
    await connections.goOn();
  },
  TEST_MS,
);

test(
  "a takeover that comes again amid the rest of the one before waits for nothing of it",
  async () => {
    await using lab = await Lab.create();
    const { firewalls, fw1, fw2, one, two, connections } = await begin(lab, "commit", OTHERS);
    await move(firewalls, fw2, fw1);
    await Promise.all([one.succeed("notify", "master"), two.succeed("notify", "backup")]);

    await move(firewalls, fw1, fw2);
    const since = two.process.lines.length;
    const [first, left] = [two.command("notify", "master"), one.command("notify", "backup")];
    await two.process.waitForLine(/master: flush: /, DEADLINE_MS, since);
    two.process.kill("SIGSTOP");
    const away = two.command("notify", "backup");
    await called(two, 1);
    const again = two.command("notify", "master");
    await called(two, 2);
    two.process.kill("SIGCONT");
    await connections.goOn();
    expect((await first).stdout).toMatch(/^resync: broken off, as this node takes over/m);
    expect((await first).stdout).not.toContain("bulk:");
    expect(await away).toMatchObject({ status: 0, stdout: "" });
    expect((await again).stdout).toMatch(/^resync: read 120,?0\d\d flows from the kernel/m);
    for (const said of [first, left, again]) expect(await said).toMatchObject({ status: 0 });
    const { role, internal } = await two.status();
    expect({ role, isWhole: internal >= OTHERS + CONNECTIONS }).toEqual({ role: "master", isWhole: true });
    expect(connections.last).toMatchObject({ open: CONNECTIONS, ended: 0 });
  },
  TEST_MS,
);
