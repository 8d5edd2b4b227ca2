/** Act two: the same death with ctsync on both firewalls, and the dead one's return. */
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, INSIDE, OUTSIDE, SYNC } from "../lab/firewall.ts";
import type { SshSession } from "../lab/ssh.ts";
import { until } from "../lab/until.ts";
import { gapSince, kernelFlows, openSession, type Stage, setStage, sshFlows, succeeds } from "./stage.ts";
import type { Timeline } from "./timeline.ts";

const REPLICATION_DEADLINE_MS = 10_000;
const SURVIVAL_DEADLINE_MS = 20_000;
const SETTLED_MS = 2_000;

export async function withCtsync(timeline: Timeline): Promise<void> {
  timeline.act("Act two: with ctsync");
  await using stage = await setStage(timeline);
  const { fw1, fw2 } = stage;
  const primary = await start(fw1);
  await fw1.becomesPrimary();
  timeline.say("ctsync and keepalived run on FW1; FW1 is MASTER");
  const backup = await start(fw2);
  timeline.say("ctsync and keepalived run on FW2; FW2 is BACKUP");
  timeline.say(`keepalived's line for it: notify "${notifyCommand(backup.config)}"`);

  const session = await openSession(timeline, stage);
  await showBothCaches(timeline, primary, backup);
  await takeover(timeline, stage, session, backup);
  await failback(timeline, stage, session);
  timeline.claim(
    `all ${session.answered.length} lines were answered, once each and in order`,
    session.answersAreComplete,
  );
  await session.close();
}

const notifyCommand = (config: string): string => `${CTSYNC} notify --config ${config}`;

async function startCtsync(firewall: Firewall): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const config = await writeConfig(namespace.lab, namespace.name, {
    interface: SYNC.interface,
    local: syncAddress,
    peer: peerSyncAddress,
    ignoreAddresses: [INSIDE, OUTSIDE].map((side) => side.virtualIpv4),
  });
  return startDaemon(namespace, config);
}

async function start(firewall: Firewall): Promise<Daemon> {
  const daemon = await startCtsync(firewall);
  await firewall.startKeepalived({ notify: notifyCommand(daemon.config) });
  return daemon;
}

/** Waits until a cache holds the session's flow; its lines, or none when it never does. */
async function cachedFlow(timeline: Timeline, daemon: Daemon, cache: "internal" | "external"): Promise<string[]> {
  let flows: string[] = [];
  await succeeds(timeline, () =>
    until(
      async () => {
        flows = sshFlows(await daemon.dump(cache));
        return flows.length > 0;
      },
      REPLICATION_DEADLINE_MS,
      `the session is in the ${cache} cache of ${daemon.namespace.name}`,
    ),
  );
  return flows;
}

async function showBothCaches(timeline: Timeline, primary: Daemon, backup: Daemon): Promise<void> {
  const internal = await cachedFlow(timeline, primary, "internal");
  timeline.claim("FW1 holds the session in its internal cache", internal.length === 1);
  timeline.show("FW1: ctsync dump --internal", internal);
  const external = await cachedFlow(timeline, backup, "external");
  timeline.claim("FW2 has learnt it into its external cache", external.length === 1);
  timeline.show("FW2: ctsync dump --external", external);
  const untouched = (await kernelFlows(backup.namespace)).length === 0;
  timeline.claim("FW2's kernel does not know it yet: it gets the flows at takeover", untouched);
}

async function takeover(timeline: Timeline, stage: Stage, session: SshSession, backup: Daemon): Promise<void> {
  const { fw1, fw2 } = stage;
  const deathMs = performance.now();
  await fw1.die();
  timeline.say("FW1 dies: its cables are dead, every process on it is killed, ctsync among them");
  await fw2.becomesPrimary();
  timeline.say(
    "FW2 is MASTER: keepalived moved the virtual addresses and calls ctsync, which commits the external cache",
  );
  const survived = await goesOn(timeline, session, deathMs);
  const gap = gapSince(session, deathMs);
  timeline.claim(`the session survives the death of its firewall, with a gap of ${gap}`, survived);
  timeline.say("most of the gap is keepalived noticing the death, and TCP waiting before it sends again");
  timeline.show("FW2: conntrack -L", await kernelFlows(fw2.namespace));
  timeline.show("FW2: ctsync dump --internal", await cachedFlow(timeline, backup, "internal"));
  timeline.say(`FW2 refused ${await fw2.invalidCount()} packets as INVALID`);
}

async function failback(timeline: Timeline, stage: Stage, session: SshSession): Promise<void> {
  const { fw1, fw2 } = stage;
  await fw1.boot();
  timeline.say("FW1 boots again, with an empty conntrack table");
  const daemon = await startCtsync(fw1);
  const external = await cachedFlow(timeline, daemon, "external");
  timeline.claim("FW1 got the session back from FW2 by starting ctsync", external.length === 1);
  timeline.show("FW1: ctsync dump --external", external);

  const returnMs = performance.now();
  await fw1.startKeepalived({ notify: notifyCommand(daemon.config) });
  timeline.say("keepalived starts on FW1, whose priority is the higher one");
  await fw1.becomesPrimary();
  timeline.say("FW1 is MASTER");
  await fw2.becomesBackup();
  timeline.say("FW2 is BACKUP");
  const survived = await goesOn(timeline, session, returnMs);
  timeline.claim(`the session goes on over the failback, with a gap of ${gapSince(session, returnMs)}`, survived);
  timeline.show("FW1: conntrack -L", await kernelFlows(fw1.namespace));
}

/** True when the session still answers: at once, and after the dust has settled. */
function goesOn(timeline: Timeline, session: SshSession, sinceMs: number): Promise<boolean> {
  return succeeds(timeline, async () => {
    do await session.nextAnswer(SURVIVAL_DEADLINE_MS);
    while (performance.now() - sinceMs < SETTLED_MS);
  });
}
