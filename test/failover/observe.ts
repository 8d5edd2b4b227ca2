/**
 * One event, observed: from the moment before it until each connection has gone on or is known to be dead.
 */
import { readFileSync } from "node:fs";
import { A, B } from "../lab/two-firewalls.ts";
import type { Observation, Scenario } from "./observation.ts";
import type { Machine, Stand } from "./stand.ts";
import { openedLast, othersOf, type Sessions, survivalOf } from "./survival.ts";
import type { Traffic } from "./traffic.ts";
import type { ConnectionReport } from "./traffic-protocol.ts";
import { resetsFrom, resetsTo, type Seen } from "./wire.ts";

/** Who returns is ready when it has everything. */
const MASTER_DEADLINE_MS = 90_000;
const SAMPLE_MS = 4;
/** Within this time before an event the primary has certainly advertised. */
const ADVERTISED_MS = 1_000;
/** What is left of the firewalls' own talk, and of connections that end meanwhile. */
const FLOWS_SLACK = 8;
/** The kernel's shortest time until a retransmission; what a delayed acknowledgement and the way add to it, and the time until a connection asks again. */
const RTO_MIN_MS = 200;
const RTO_SLACK_MS = 150;
const TOLD_MAX = 5;
const FATES_MAX = 10;
const TICK_MS = 10; // of /proc/PID/stat

export interface Event {
  readonly scenario: Scenario;
  readonly giver: Machine;
  readonly taker: Machine;
  readonly trigger: () => Promise<void>;
  /** What may be done already while the new primary's script still runs, since nobody looks at it. */
  readonly meanwhile?: () => Promise<void>;
  /** Connections from this number on were opened on the giver, since it took over. */
  readonly youngFrom: number;
}

const nowMs = (): number => performance.timeOrigin + performance.now();

/** How many flows the taker's kernel holds, every few milliseconds until stopped. */
class FlowCounts {
  readonly #samples: { atMs: number; flows: number }[] = [];
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(machine: Machine) {
    this.#running = this.#run(machine);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get most(): number {
    return Math.max(...this.#samples.map(({ flows }) => flows));
  }

  /** When it first held all of them, as good as. */
  get fullMs(): number {
    const most = this.most;
    return this.#samples.find(({ flows }) => flows >= most - FLOWS_SLACK)?.atMs ?? Number.NaN;
  }

  /** Settles once the kernel holds so many; never, when it does not. */
  async reach(flows: number): Promise<void> {
    while (!this.#stopped && (this.#samples.at(-1)?.flows ?? 0) < flows) await Bun.sleep(SAMPLE_MS);
  }

  async #run(machine: Machine): Promise<void> {
    while (!this.#stopped) {
      this.#samples.push({ atMs: nowMs(), flows: machine.kernelFlows });
      await Bun.sleep(SAMPLE_MS);
    }
  }
}

export async function observe(stand: Stand, event: Event): Promise<Observation> {
  const { scenario, giver, taker, trigger, youngFrom } = event;
  const { traffic, wire } = stand;
  const [takerInvalid, giverInvalid] = await Promise.all([taker, giver].map(({ firewall }) => firewall.invalidCount()));
  const noted = await taker.notes("MASTER");
  const flowsBefore = giver.kernelFlows;
  const cpuBeforeMs = cpuMs(taker);
  await traffic.watch();
  const linesBefore = scenario === "failback" || scenario === "switch-back" ? 0 : taker.keepalived.lines.length;
  const startMs = nowMs();
  await using counts = new FlowCounts(taker);
  await trigger();
  await becomesMaster(taker, linesBefore);
  // What has run out while a firewall that returns got the rest is nobody's loss.
  const flowsWanted = scenario === "death" ? flowsBefore : Math.min(flowsBefore, giver.kernelFlows);
  const script = taker.noted("MASTER", noted.count);
  await Promise.race([script, counts.reach(flowsWanted - FLOWS_SLACK)]);
  const settledFromMs = nowMs();
  const outageMs = settledFromMs - startMs;
  const lateDeadlineMs = outageMs * BACKOFF_SHARE + RTO_MIN_MS + RTO_SLACK_MS;
  const deadlineMs = outageMs * BACKOFF_SHARE + SETTLE_MS;
  await traffic.settle({ sinceMs: settledFromMs, deadlineMs, lateDeadlineMs });
  const ofGiver = (await giver.firewall.invalidCount()) - giverInvalid!; // Who gives up the addresses may still be asked.
  const [scriptEndMs] = await Promise.all([script, event.meanwhile?.()]);
  // Whatever the new primary did until its script was done, they still go on.
  const [settled, sessions, proven] = await settleAll(traffic, deadlineMs);
  const invalid = (await taker.firewall.invalidCount()) - takerInvalid! + ofGiver;
  const reports = [...settled, ...proven];
  await counts.stop();
  const cpuUsedMs = cpuMs(taker) - cpuBeforeMs;
  const seen = wire.since(startMs);
  const masterMs = masterMoment(seen, taker);
  const lastAdvertMs = lastAdvertisement(wire.since(startMs - ADVERTISED_MS), giver, masterMs);
  wire.clear();
  const talks = reports.filter(({ kind }) => kind === "talk");
  const survivors = talks.filter(({ survived }) => survived);
  const asking = reports.filter(({ kind, survived }) => survived && ASKING.has(kind));
  const young = talks.filter(({ number }) => number >= youngFrom);
  const push = reports.find(({ kind }) => kind === "push")!;
  const lateOf = ({ longestGapMs, gapEndMs }: ConnectionReport): number =>
    Math.max(0, Math.min(gapEndMs - masterMs, longestGapMs));
  return {
    scenario,
    connections: talks.length,
    survivors: survivors.length,
    youngConnections: young.length,
    youngSurvivors: young.filter(({ survived }) => survived).length,
    others: othersOf(reports, sessions),
    late: survivalOf(openedLast(reports, masterMs)),
    resetsInside: resetsTo(seen, A),
    resetsOutside: resetsTo(seen, B),
    resetsByHosts: resetsFrom(seen, A) + resetsFrom(seen, B),
    unreachables: seen.filter(({ kind }) => kind === "unreachable").length,
    invalid,
    detectionMs: masterMs - lastAdvertMs,
    pushGapMs: push.longestGapMs,
    hostsPausedMs: traffic.pausedMs(startMs),
    pushLateMs: scenario === "death" ? lateOf(push) : push.longestGapMs,
    tcpGapMs: Math.max(sessions.ssh ? traffic.sshGapMs(startMs) : 0, ...asking.map((one) => one.longestGapMs)),
    tcpLateMs: Math.max(0, ...asking.map(lateOf)),
    retransmittedTwice: asking.filter((one) => retransmittedTwice(one, lateOf(one))).length,
    lastFlowMs: Math.max(0, counts.fullMs - masterMs),
    scriptMs: scriptEndMs - masterMs,
    flowsMissing: Math.max(0, flowsWanted - FLOWS_SLACK - counts.most),
    cpuMs: cpuUsedMs,
    told: seen
      .filter(({ kind }) => kind !== "advertisement")
      .slice(0, TOLD_MAX)
      .map(({ text }) => text),
    fates: reports
      .filter(({ survived, kind }) => !survived && kind !== "late")
      .slice(0, FATES_MAX)
      .map(({ kind, number, localPort, fate }) => `${kind} ${number}, port ${localPort}: ${fate}`),
  };
}

async function settleAll(
  traffic: Traffic,
  sessionsDeadlineMs: number,
): Promise<readonly [ConnectionReport[], Sessions, ConnectionReport[]]> {
  const deadlines = { deadlineMs: SETTLE_MS, lateDeadlineMs: RTO_MIN_MS + RTO_SLACK_MS };
  const [settled, sessions] = await Promise.all([
    traffic.settle({ sinceMs: nowMs(), ...deadlines }),
    traffic.sessions(sessionsDeadlineMs),
  ]);
  return [settled, sessions, await traffic.prove(SETTLE_MS)];
}

const ASKING: ReadonlySet<string> = new Set(["talk", "ipv6", "inbound"]);

/** The next retransmission of a sender that has waited so long comes at most as long again and a little after. */
const BACKOFF_SHARE = 1.1;
const SETTLE_MS = 1_500;

const retransmittedTwice = ({ longestGapMs }: ConnectionReport, lateMs: number): boolean =>
  lateMs > longestGapMs - lateMs + RTO_MIN_MS + RTO_SLACK_MS;

async function becomesMaster({ keepalived }: Machine, since: number): Promise<void> {
  for (const name of ["INSIDE", "OUTSIDE"]) {
    await keepalived.waitForLine(new RegExp(`\\(${name}\\) Entering MASTER STATE`), MASTER_DEADLINE_MS, since);
  }
}

/** When both instances had advertised: the wire has the kernel's own time, this process may have waited for a processor. */
function masterMoment(seen: readonly Seen[], { firewall }: Machine): number {
  const firsts = firewall.ownIpv4.map((address) =>
    seen.find(({ kind, from }) => kind === "advertisement" && from === address),
  );
  if (firsts.some((first) => first === undefined))
    throw new Error(`${firewall.namespace.name} is MASTER and says nothing`);
  return Math.max(...firsts.map((first) => first!.atMs));
}

function lastAdvertisement(seen: readonly Seen[], { firewall }: Machine, beforeMs: number): number {
  const own = firewall.ownIpv4;
  const last = seen.findLast(
    ({ kind, from, atMs }) => kind === "advertisement" && own.includes(from) && atMs < beforeMs,
  );
  if (last === undefined) throw new Error(`nothing was heard of ${firewall.namespace.name} before it gave up`);
  return last.atMs;
}

/** Children count once they have ended, in hundredths of a second. */
function cpuMs({ node }: Machine): number {
  const fields = readFileSync(`/proc/${node.pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  const [childrenUser, childrenSystem] = [Number(fields[13]), Number(fields[14])];
  return node.cpuUs() / 1_000 + (childrenUser + childrenSystem) * TICK_MS;
}
