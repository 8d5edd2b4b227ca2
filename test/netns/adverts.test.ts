/**
 * The README's time between two advertisements, under load: however busy firewall and machine are, the backup's keepalived
 * does not take a primary for dead that lives.
 */
import { expect, test } from "bun:test";
import { cpus } from "node:os";
import { CTSYNC, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, SYNC, VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/process.ts";
import { buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { blockOf } from "./readme-blocks.ts";

const DEADLINE_MS = 30_000;
const TEST_MS = 90_000;
const GENERATE = Bun.fileURLToPath(new URL("../lab/generate.ts", import.meta.url));
const ALIVE = 50_000;
const EVENTS_A_SECOND = 20_000;
const SECONDS = Number(process.env.CTSYNC_TEST_ADVERT_SECONDS ?? 10);

/** The README's, unless another one is to be measured. */
function advertSeconds(): number {
  const [, written] = /advert_int ([\d.]+)/.exec(blockOf("fw1:/etc/keepalived/keepalived.conf")) ?? [];
  return Number(process.env.CTSYNC_TEST_ADVERT_INT ?? written);
}

async function startNode(firewall: Firewall): Promise<LabProcess> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const config = await writeConfig(namespace.lab, namespace.name, {
    ...{ interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress },
    sync: { apply: "live" },
    keepalived: { virtual_addresses: VIRTUAL_ADDRESSES },
  });
  await startDaemon(namespace, config);
  return firewall.startKeepalived({ notify: `${CTSYNC} notify --config ${config}` });
}

/** When each advertisement of FW1's came to FW2, in seconds, by the kernel's clock. */
const advertisements = (listener: LabProcess): number[] =>
  listener.lines.flatMap(({ text }) => {
    const [, seconds] = /^(\d+\.\d+) IP \S+ > 224\.0\.0\.18: /.exec(text) ?? [];
    return seconds === undefined ? [] : [Number(seconds)];
  });

test(
  "the README's advertisements come in time, though every processor is busy and 20,000 events a second are replicated",
  async () => {
    const interval = advertSeconds();
    await using lab = await Lab.create();
    const { fw1, fw2 } = await buildTwoFirewalls(lab, { advertSeconds: interval });
    await startNode(fw1);
    await fw1.becomesPrimary();
    const backup = await startNode(fw2);

    for (const _ of cpus()) lab.spawn(["sh", "-c", "while :; do :; done"]);
    const flags = ["--action", "churn", "--alive", `${ALIVE}`, "--rate", `${EVENTS_A_SECOND}`, "--snat"];
    const churn = [process.execPath, GENERATE, ...flags, "--seconds", `${SECONDS}`];
    const generator = fw1.namespace.spawn(churn);
    await generator.waitForLine(/^alive$/, DEADLINE_MS);
    const from = `src host ${fw1.ownIpv4[1]} and vrrp`;
    const listener = fw2.namespace.spawn(["tcpdump", "-l", "-n", "-tt", "--immediate-mode", "-i", "eth1", from]);
    await generator.waitForLine(/"seconds"/, DEADLINE_MS + SECONDS * 1_000);
    await until(() => advertisements(listener).length > 0, DEADLINE_MS, "advertisements were seen");

    const seen = advertisements(listener);
    const gaps = seen.slice(1).map((at, i) => at - seen[i]!);
    const longest = (Math.max(...gaps) * 1_000).toFixed(0);
    console.log(`${seen.length} advertisements, one every ${interval * 1_000} ms; longest gap ${longest} ms`);
    expect(seen.length * interval).toBeGreaterThan(SECONDS / 2);
    expect(backup.lines.filter(({ text }) => text.includes("Entering MASTER STATE"))).toEqual([]);
    expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([true, false]);
  },
  TEST_MS,
);
