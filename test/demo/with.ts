/** Act two: the same death with ctsync on both firewalls, and the dead one's return. */
import { readFileSync } from "node:fs";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { type Firewall, SYNC } from "../lab/firewall.ts";
import type { LineSession } from "../lab/line-session.ts";
import { until } from "../lab/until.ts";
import { gapSince, kernelFlows, openSession, type Stage, setStage, sshFlows, succeeds } from "./stage.ts";
import type { Timeline } from "./timeline.ts";

const REPLICATION_DEADLINE_MS = 10_000;
const LOG_DEADLINE_MS = 10_000;
const SURVIVAL_DEADLINE_MS = 20_000;
const SETTLED_MS = 2_000;

export async function withCtsync(timeline: Timeline): Promise<void> {
  timeline.act("Act two: with ctsync");
  await using stage = await setStage(timeline);
  const { fw1, fw2 } = stage;
  const primary = await startCtsync(fw1);
  await startKeepalived(fw1, primary);
  await fw1.becomesPrimary();
  timeline.say("ctsync and keepalived run on FW1: it is MASTER");
  timeline.show(`FW1$ cat ${primary.config}`, readFileSync(primary.config, "utf8").split("\n").filter(Boolean));
  timeline.show("FW1$ grep notify keepalived.conf", [`notify "${notifyCommand(primary)}"`]);
  const backup = await startCtsync(fw2);
  await startKeepalived(fw2, backup);
  timeline.say("ctsync and keepalived run on FW2, set up alike: it is BACKUP");

  const session = await openSession(timeline, stage);
  await showBothCaches(timeline, primary, backup);
  await takeover(timeline, stage, session, backup);
  await failback(timeline, stage, session, backup);
  timeline.claim(
    `all ${session.answered.length} lines were answered, once each and in order`,
    session.answersAreComplete,
  );
  await session.close();
}

const notifyCommand = (daemon: Daemon): string => `${CTSYNC} notify --config ${daemon.config}`;

async function startCtsync(firewall: Firewall): Promise<Daemon> {
  const { namespace, syncAddress, peerSyncAddress } = firewall;
  const config = await writeConfig(namespace.lab, namespace.name, {
    interface: SYNC.interface,
    local: syncAddress,
    peer: peerSyncAddress,
    sync: { apply: "live" }, // As it is where nothing is said.
  });
  return startDaemon(namespace, config);
}

async function startKeepalived(firewall: Firewall, daemon: Daemon): Promise<void> {
  await firewall.startKeepalived({ notify: notifyCommand(daemon) });
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

const withoutAge = (line: string | undefined): string | undefined => line?.replace(/ \[active since \d+s\]$/, "");

async function showBothCaches(timeline: Timeline, primary: Daemon, backup: Daemon): Promise<void> {
  const internal = await cachedFlow(timeline, primary, "internal");
  timeline.claim("FW1 holds the session in its internal cache", internal.length === 1);
  timeline.show("FW1$ ctsync dump --internal", internal);
  const external = await cachedFlow(timeline, backup, "external");
  const same = withoutAge(internal[0]) === withoutAge(external[0]);
  timeline.claim("FW2 has learnt it, the same in every word, into its external cache", external.length === 1 && same);
  timeline.show("FW2$ ctsync dump --external", external);
  const follows = await succeeds(timeline, () =>
    until(
      async () => (await kernelFlows(backup.namespace)).length === 1,
      REPLICATION_DEADLINE_MS,
      "the session is in FW2's kernel",
    ),
  );
  timeline.claim("FW2's kernel has it too, before it is needed there", follows);
}

async function takeover(timeline: Timeline, stage: Stage, session: LineSession, backup: Daemon): Promise<void> {
  const { fw1, fw2 } = stage;
  const log = new LogSince(backup);
  const deathMs = performance.now();
  await fw1.die();
  timeline.say("FW1 dies: its cables are dead, every process on it is killed, ctsync among them");
  await fw2.becomesPrimary();
  timeline.say("FW2 is MASTER: keepalived missed FW1's advertisements and moved the virtual addresses");
  const calledMs = await log.moment(/keepalived says master/);
  const appliedMs = await log.moment(/master: apply: applied the last/);
  const inKernel = await kernelFlows(fw2.namespace);
  timeline.claim("keepalived calls ctsync, and the session's flow is in FW2's kernel", inKernel.length === 1);
  timeline.show("FW2: log of ctsync", log.lines);
  timeline.show("FW2$ conntrack -L -o extended", inKernel);

  const survived = await goesOn(timeline, session, deathMs);
  const gap = gapSince(session, deathMs);
  timeline.claim(`the session survives the death of its firewall, with a gap of ${gap}`, survived);
  const [noticing, applying] = [calledMs - deathMs, appliedMs - calledMs].map((ms) => ms.toFixed(0));
  timeline.say(
    `of the gap, keepalived took ${noticing} ms to notice the death and call ctsync, and ctsync ${applying} ms for what was ` +
      "new; the rest is TCP, which waits ever longer before it sends again",
  );
  timeline.show("FW2$ ctsync dump --internal", await cachedFlow(timeline, backup, "internal"));
}

async function failback(timeline: Timeline, stage: Stage, session: LineSession, peer: Daemon): Promise<void> {
  const { fw1, fw2 } = stage;
  await fw1.boot();
  const forgot = (await kernelFlows(fw1.namespace)).length === 0;
  timeline.claim("FW1 boots again, and its kernel knows nothing of the session", forgot);
  const daemon = await startCtsync(fw1);
  const complete = await succeeds(timeline, () =>
    until(async () => (await daemon.status()).ready, REPLICATION_DEADLINE_MS, "FW1 holds all that FW2 has"),
  );
  const external = await cachedFlow(timeline, daemon, "external");
  timeline.claim("ctsync starts on FW1 and gets the session back from FW2", complete && external.length === 1);
  timeline.show("FW1$ ctsync status", statusScreen(await daemon.succeed("status")));
  timeline.show("FW1$ ctsync dump --external", external);

  const logs = { fw1: new LogSince(daemon), fw2: new LogSince(peer) };
  const returnMs = performance.now();
  await startKeepalived(fw1, daemon);
  timeline.say("only now keepalived starts on FW1, whose priority is the higher one");
  await fw1.becomesPrimary();
  timeline.say("FW1 is MASTER");
  await fw2.becomesBackup();
  timeline.say("FW2 is BACKUP");
  await logs.fw1.moment(/master: adopt: [1-9]/);
  await logs.fw2.moment(/keepalived says backup/);
  timeline.show("FW1: log of ctsync", logs.fw1.lines);
  const inKernel = await kernelFlows(fw1.namespace);
  const survived = await goesOn(timeline, session, returnMs);
  timeline.claim(
    `the session goes on over the failback, with a gap of ${gapSince(session, returnMs)}`,
    survived && inKernel.length === 1,
  );
  timeline.show("FW1$ conntrack -L -o extended", inKernel);
}

/** The screen up to its counters. */
const statusScreen = (text: string): string[] => (text.split("\n\n")[0] ?? "").split("\n");

/** True when the session still answers: at once, and after the dust has settled. */
function goesOn(timeline: Timeline, session: LineSession, sinceMs: number): Promise<boolean> {
  return succeeds(timeline, async () => {
    do await session.nextAnswer(SURVIVAL_DEADLINE_MS);
    while (performance.now() - sinceMs < SETTLED_MS);
  });
}

/** What a daemon logs from now on. */
class LogSince {
  readonly #daemon: Daemon;
  readonly #from: number;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    this.#from = daemon.process.lines.length;
  }

  get lines(): string[] {
    return this.#daemon.process.lines.slice(this.#from).map(({ text }) => text);
  }

  /** When a line like `pattern` came, or comes. */
  async moment(pattern: RegExp): Promise<number> {
    const { process } = this.#daemon;
    await process.waitForLine(pattern, LOG_DEADLINE_MS, this.#from);
    return process.lines.slice(this.#from).find(({ text }) => pattern.test(text))?.atMs ?? Number.NaN;
  }
}
