/** The flight recorder: what a real failover leaves on disk, and what a disk that takes nothing does to the daemon. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Failover } from "../../src/recorder/timeline.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, SYNC } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { openLines, startAnswering } from "../lab/line-session.ts";
import { B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

const TEST_MS = 60_000;
const DEADLINE_MS = 15_000;

async function startNode({ namespace, syncAddress, peerSyncAddress }: Firewall): Promise<Daemon> {
  const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  return startDaemon(namespace, await writeConfig(namespace.lab, namespace.name, link));
}

const notify = ({ config }: Daemon): string => `${CTSYNC} notify --config ${config}`;

async function timeline(daemon: Daemon, ...args: string[]): Promise<Failover[]> {
  const text = await daemon.succeed("timeline", "--json", ...args);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Failover);
}

const at = ({ moments }: Failover, kind: string, words = ""): number =>
  moments.find((moment) => moment.kind === kind && moment.text.includes(words))?.atMs ?? Number.NaN;

test(
  "a failover leaves its timeline on disk, which is read without a daemon",
  async () => {
    await using lab = await Lab.create();
    const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
    const primary = await startNode(fw1);
    await fw1.startKeepalived({ notify: notify(primary) });
    await fw1.becomesPrimary();
    const backup = await startNode(fw2);
    await fw2.startKeepalived({ notify: notify(backup) });
    await startAnswering(b, "TCP4-LISTEN:7001");
    const session = await openLines(a, `TCP4:${B.ipv4}:7001`);
    await session.nextAnswer(DEADLINE_MS);
    await until(async () => (await backup.status()).external === 1, DEADLINE_MS, "the backup has the flow");
    expect(await timeline(backup)).toEqual([]);

    await fw1.die();
    await backup.process.waitForLine(/master: commit: committed 1 flow/, DEADLINE_MS);
    await session.nextAnswer(DEADLINE_MS);
    await until(async () => (await timeline(backup))[0]?.summary.doneMs, DEADLINE_MS, "the takeover is recorded whole");
    const status = await backup.status();
    expect(status.recorder).toMatchObject({ lost: 0, error: null });
    backup.process.kill("SIGKILL");
    await backup.process.exited;

    const [failover, ...others] = await timeline(backup);
    expect(others).toEqual([]);
    expect(failover).toMatchObject({ from: "backup", to: "master" });
    const { summary } = failover!;
    expect(summary).toMatchObject({ created: 1, updated: 0, refused: 0, refusals: [], ok: true, splitBrain: false });
    // Each in its place; the kernel's count of packets begins with the virtual address.
    const lastDatagram = at(failover!, "peer-last", fw1.syncAddress);
    expect(lastDatagram).toBeLessThan(0);
    expect(at(failover!, "addresses", "+203.0.113.1")).toBeGreaterThan(lastDatagram);
    expect(at(failover!, "addresses", "+203.0.113.1")).toBeLessThan(at(failover!, "commit-begin"));
    expect(at(failover!, "link", "eth2 down")).toBeGreaterThan(lastDatagram);
    expect(at(failover!, "role", "master")).toBe(0);
    expect(at(failover!, "commit-end")).toBeGreaterThanOrEqual(at(failover!, "commit-begin"));
    expect(at(failover!, "forward", "after the commit")).toBeGreaterThan(at(failover!, "commit-end"));
    expect(summary.firstPacketAfterCommitMs).toBe(at(failover!, "forward", "after the commit"));

    const svg = join(lab.directory, "timeline.svg");
    await backup.succeed("timeline", "--svg", svg);
    expect(await Bun.file(svg).text()).toContain("takeover: backup to master");
    expect(await backup.succeed("timeline")).toContain("keepalived says master");

    // The next life goes on where this one broke off.
    await (await startDaemon(fw2.namespace, backup.config)).succeed("notify", "master");
    const lives = async () => (await timeline(backup, "--all")).map(({ life }) => life);
    await until(async () => (await lives()).length === 2, DEADLINE_MS, "the takeover of the next life is on disk");
    expect(await lives()).toEqual([1, 2]);
    expect(await timeline(backup, "--last", "1")).toHaveLength(1);
    await session.close();
  },
  TEST_MS,
);

describe("a disk that takes nothing", () => {
  test(
    "is named in status, stops nothing, and is used again once it has room",
    async () => {
      await using lab = await Lab.create();
      const namespace = await lab.namespace("fw1");
      await namespace.trackConnections();
      const disk = join(lab.directory, "disk");
      // A mount namespace of its own: the daemon's disk is gone with the daemon.
      const config = await writeConfig(lab, "fw1", {
        ...{ interface: "lo", local: "127.0.0.1", peer: "127.0.0.2" },
        recorder: { path: join(disk, "timeline.ring"), size_bytes: 65_536 },
      });
      mkdirSync(disk);
      const script = `mount -t tmpfs -o size=40k tmpfs ${disk} && exec ${CTSYNC} daemon --config ${config}`;
      const process = namespace.spawn(["unshare", "--mount", "sh", "-c", script]);
      const command = async (...args: string[]) => namespace.exec([CTSYNC, ...args, "--config", config]);
      const recorder = async () => JSON.parse((await command("status", "--json")).stdout || "{}").recorder;
      await until(async () => (await recorder())?.error, DEADLINE_MS, "the full disk is named");
      expect((await recorder()).error).toMatch(/timeline\.ring: no space left on device \(ENOSPC\)/);
      await process.waitForLine(/the flight recorder cannot write/, DEADLINE_MS);

      expect((await command("notify", "master")).status).toBe(0);
      for (let i = 0; i < 20; i++) await command("notify", i % 2 === 0 ? "fault" : "stop");
      expect((await recorder()).written).toBe(0);

      const remount = ["nsenter", "--target", String(process.pid), "--mount", "mount", "-o", "remount,size=1m", disk];
      await namespace.run(remount);
      await until(async () => (await recorder()).error === null, DEADLINE_MS, "the disk is used again");
      expect((await recorder()).written).toBeGreaterThan(30);
      const inside = ["nsenter", "--target", String(process.pid), "--mount", CTSYNC, "timeline", "--config", config];
      expect(await namespace.run(inside)).toContain("master");
    },
    TEST_MS,
  );
});
