/** Act one: nobody replicates anything. FW2 takes over the addresses, but knows nothing of the session. */
import { followKernelLog } from "../lab/kernel-log.ts";
import type { LineSession } from "../lab/line-session.ts";
import { B } from "../lab/two-firewalls.ts";
import { GIVE_UP_SECONDS, gapSince, kernelFlows, openSession, type Stage, setStage, succeeds } from "./stage.ts";
import type { Timeline } from "./timeline.ts";

const LOG_DEADLINE_MS = 5_000;
const REPORT_INTERVAL_MS = 1_000;
const DEATH_DEADLINE_MS = 3 * GIVE_UP_SECONDS * 1_000;

export async function withoutCtsync(timeline: Timeline): Promise<void> {
  timeline.act("Act one: without ctsync");
  await using stage = await setStage(timeline);
  const { fw1, fw2 } = stage;
  await fw1.startKeepalived();
  await fw1.becomesPrimary();
  timeline.say("FW1 is MASTER: it holds the virtual addresses");
  await fw2.startKeepalived();
  timeline.say("FW2 is BACKUP");
  const session = await openSession(timeline, stage);
  timeline.say("FW1's kernel tracks the flow, FW2's has never heard of it");
  timeline.show("FW1$ conntrack -L -o extended", await kernelFlows(fw1.namespace));
  timeline.show("FW2$ conntrack -L -o extended", await kernelFlows(fw2.namespace));

  const kernelLog = followKernelLog(stage.lab);
  const deathMs = performance.now();
  await fw1.die();
  timeline.say("FW1 dies: its cables are dead, every process on it is killed");
  await fw2.becomesPrimary();
  timeline.say("FW2 is MASTER: keepalived missed FW1's advertisements and moved the virtual addresses");

  const logLine = await kernelLog.waitForLine(new RegExp(fw2.invalidLogPrefix), LOG_DEADLINE_MS).catch(() => undefined);
  timeline.claim("FW2 takes the session's next packet for INVALID, logs and drops it", logLine !== undefined);
  timeline.show("FW2$ dmesg", logLine === undefined ? [] : [logLine]);
  timeline.claim("a new session from A to B passes FW2, so the way is open", await opensNewSession(timeline, stage));

  const died = await watchItDie(timeline, session);
  const silent = session.longestGapMs(deathMs) > GIVE_UP_SECONDS * 1_000;
  timeline.claim(
    `without ctsync the session dies with its firewall (silent for ${gapSince(session, deathMs)})`,
    died && silent,
  );
  const refused = kernelLog.lines.map(({ text }) => text).filter((text) => text.includes(fw2.invalidLogPrefix));
  timeline.say(`FW2 has refused ${await fw2.invalidCount()} packets of it as INVALID: the first, and these`);
  timeline.show("FW2$ dmesg", refused.slice(1));
}

function opensNewSession(timeline: Timeline, stage: Stage): Promise<boolean> {
  return succeeds(timeline, async () => {
    const session = await stage.server.open(stage.a, B.ipv4, GIVE_UP_SECONDS);
    await session.close();
  });
}

/** Waits for ssh to give up, telling the silence meanwhile. True if it did, and no answer came. */
async function watchItDie(timeline: Timeline, session: LineSession): Promise<boolean> {
  const report = setInterval(() => {
    const seconds = (session.silenceMs / 1_000).toFixed(0);
    timeline.say(`A has typed ${session.typedCount} lines; the last answer came ${seconds} s ago`);
  }, REPORT_INTERVAL_MS);
  const answeredBefore = session.answered.length;
  const gaveUp = await succeeds(timeline, async () => {
    const end = await session.client.waitForLine(/Timeout, server .* not responding/, DEATH_DEADLINE_MS);
    timeline.say(`ssh gives up: "${end}"`);
  });
  clearInterval(report);
  return gaveUp && session.answered.length === answeredBefore;
}
