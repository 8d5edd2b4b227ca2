/**
 * The daemon, from its start to its end: takes what it needs from the kernel, or says in one sentence what is missing;
 * reads the kernel's table; then runs the loop until it is told to stop.
 */
import { randomBytes } from "node:crypto";
import { hasNetAdmin } from "../../ffi/capability.ts";
import { ThreadUsage } from "../../ffi/scheduler.ts";
import { readLinkKeys } from "../config/key-file.ts";
import { EXPECTATIONS_MAX } from "../config/limits.ts";
import type { LinkKeys } from "../config/link-key.ts";
import type { Config } from "../config/load.ts";
import { AddressFilter, type Network } from "../filter/address-filter.ts";
import { AddressWatch, type OwnAddress, ownAddresses } from "../kernel/addresses.ts";
import { KernelCommit } from "../kernel/commit.ts";
import { KernelDelete } from "../kernel/delete.ts";
import { KernelEvents } from "../kernel/events.ts";
import { ExpectationChanges } from "../kernel/expectation-changes.ts";
import { ExpectationCommit } from "../kernel/expectation-commit.ts";
import { ExpectationEvents } from "../kernel/expectation-events.ts";
import { explain, type KernelError } from "../kernel/kernel-error.ts";
import { KernelLookup } from "../kernel/lookup.ts";
import { KernelTimers } from "../kernel/timers.ts";
import { Replica } from "../replica.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { Ftfw, firstSequence } from "../sync/ftfw.ts";
import type { SlotOwner } from "../sync/session.ts";
import { VERSION } from "../version.ts";
import { Apply } from "./apply.ts";
import { ApplyExpectations } from "./apply-expectations.ts";
import { monotonicMs } from "./clock.ts";
import { Control } from "./control.ts";
import { executeAgain } from "./execute-again.ts";
import { FlightRecorder } from "./flight-recorder.ts";
import { FlightWatch } from "./flight-watch.ts";
import { Gate } from "./gate.ts";
import { claimInstance } from "./instance.ts";
import { Jobs } from "./jobs.ts";
import { Link } from "./link.ts";
import { Log } from "./log.ts";
import { Loop } from "./loop.ts";
import { NewWindows } from "./new-windows.ts";
import type { Node } from "./node.ts";
import { Pauses } from "./pauses.ts";
import { RealtimePriority } from "./realtime-priority.ts";
import { rehearse } from "./rehearsal.ts";
import { Roles } from "./roles.ts";
import { Systemd } from "./systemd.ts";
import { audit, newAudit } from "./work/audit.ts";
import { collect } from "./work/collect.ts";
import { leave, settle } from "./work/live.ts";
import { OwnFlows } from "./work/own-flows.ts";
import { resync } from "./work/resync.ts";
import { wantedReading } from "./work/wanted.ts";

/** Flows on their way to a peer at once: about what its socket buffer holds, whatever the datagrams are filled with. */
const IN_FLIGHT_MAX = 8_192;

/** Runs until it is told to stop; the exit code. */
export async function runDaemon(config: Config): Promise<number> {
  const log = new Log(config.log.level);
  if (!hasNetAdmin()) {
    log.error(
      "ctsync needs the capability CAP_NET_ADMIN: run it as root, or give it AmbientCapabilities=CAP_NET_ADMIN",
    );
    return 1;
  }
  const executed = executeAgain(config.daemon.realtimePriority);
  if (!executed.ok) {
    log.error(executed.error);
    return 1;
  }
  const keys = linkKeys(config);
  if (!keys.ok) {
    log.error(keys.error);
    return 1;
  }
  const instance = claimInstance(config.control.socket);
  if (!instance.ok) {
    log.error(instance.error);
    return 1;
  }
  try {
    const node = makeNode(config, keys.value, log);
    const addresses = AddressWatch.open();
    if (!node.ok || !addresses.ok) {
      log.error(explain(node.ok ? (addresses as { error: KernelError }).error : node.error));
      return 1;
    }
    return await serve(node.value, addresses.value);
  } finally {
    instance.value.release();
  }
}

/** The keys of each link, or undefined for one without; a sentence when a key file cannot be used. */
function linkKeys(config: Config): Result<(LinkKeys | undefined)[]> {
  const all: (LinkKeys | undefined)[] = [];
  for (const [i, { keyFile }] of config.links.entries()) {
    const keys = keyFile === "" ? undefined : readLinkKeys(keyFile);
    if (keys?.ok === false) return refuse(`link[${i}].key_file: ${keys.error}`);
    all.push(keys?.value);
  }
  return succeed(all);
}

async function serve(node: Node, addresses: AddressWatch): Promise<number> {
  const { config, log, state } = node;
  const systemd = new Systemd(process.env);
  const roles = new Roles(node);
  let control: Control;
  try {
    control = new Control(node, roles, config.control.socket);
  } catch (error) {
    log.error(`cannot listen on ${config.control.socket}: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      log.info(`${signal}: stopping`);
      state.stopping = true;
    });
  process.on("SIGHUP", () =>
    log.info("SIGHUP: restart ctsync to take a changed configuration; ctsync rekey takes changed keys"),
  );

  node.flight.note("start", VERSION, { a: process.pid });
  log.info(`ctsync ${VERSION} starts: process ${process.pid}, control socket ${config.control.socket}`);
  const ownFlows = new OwnFlows(node);
  const loop = new Loop({
    node,
    addresses,
    systemd,
    roles,
    addressesChanged: () => roles.addresses(updateOwnAddresses(node, ownFlows)),
    overrun: () => repair(node),
    readingWanted: () => readWanted(node),
    clients: () => control.busy,
  });
  readKernel(node, systemd);
  roles.begin(updateOwnAddresses(node), monotonicMs()); // Before the first flow.
  await loop.run();
  systemd.stopping();
  node.gate.close();
  roles.close();
  const shortened = leave(node);
  if (shortened > 0)
    log.info(`shortened the timers of ${shortened} flows of the peer to ${config.sync.purgeTimeoutSeconds} s`);
  for (const link of node.links) link.close();
  node.flight.note("stop");
  await Promise.all([control.stop(), node.flight.close()]);
  log.info("stopped");
  return 0;
}

function makeNode(config: Config, keys: readonly (LinkKeys | undefined)[], log: Log): Result<Node, KernelError> {
  const events = KernelEvents.open(config.netlink);
  if (!events.ok) return events;
  const commit = KernelCommit.open();
  if (!commit.ok) return commit;
  const expectationEvents = config.sync.expectations ? ExpectationEvents.open() : undefined;
  if (expectationEvents?.ok === false) return expectationEvents;
  const expectationCommit = ExpectationCommit.open();
  if (!expectationCommit.ok) return expectationCommit;
  const masters = KernelLookup.open();
  if (!masters.ok) return masters;
  const deletes = KernelDelete.open();
  if (!deletes.ok) return deletes;
  const timers = KernelTimers.open();
  if (!timers.ok) return timers;
  const windows = KernelTimers.open();
  if (!windows.ok) return windows;
  const lookup = KernelLookup.open();
  if (!lookup.ok) return lookup;
  const virtual = config.keepalived.virtualAddresses;
  const filter = new AddressFilter([...config.filter.ignoreAddresses, ...virtual.map(whole)]);
  const replica = makeReplica(config, filter);
  const apply = makeApply(replica, config.sync.purgeTimeoutSeconds);
  if (!apply.ok) return apply;
  const capped = events.value.bufferWarning(config.netlink.bufferBytes);
  if (capped !== undefined) log.warning(explain(capped));
  // What we commit or shorten is the peer's, or no news; told to the peer it would only come back.
  const own = [commit.value, timers.value, windows.value].map(({ portId }) => portId);
  const deaf = events.value.ignorePortIds([...own, ...(apply.value?.portIds ?? [])]);
  if (!deaf.ok) return deaf;
  const applied = apply.value && expectationEvents?.value.ignorePortIds(apply.value.expectations.portIds);
  if (applied?.ok === false) return applied;

  const node: Node = {
    config,
    log,
    filter,
    replica,
    events: events.value,
    expectationEvents: expectationEvents?.value,
    masters: masters.value,
    commit: commit.value,
    expectationCommit: expectationCommit.value,
    deletes: deletes.value,
    timers: timers.value,
    newWindows: new NewWindows(windows.value, filter),
    lookup: lookup.value,
    links: config.links.map((link, i) => new Link(link, keys[i], log)),
    apply: apply.value,
    gate: new Gate(config, virtual, log),
    virtual,
    jobs: new Jobs(),
    pauses: new Pauses(new ThreadUsage(), new ThreadUsage()),
    priority: new RealtimePriority(config.daemon.realtimePriority, log),
    audit: newAudit(),
    flight: new FlightRecorder(config.recorder.path, config.recorder.sizeBytes, log),
    get watch() {
      return watch;
    },
    startedMs: monotonicMs(),
    state: {
      role: "unknown",
      turns: 0,
      words: 0,
      started: false,
      rehearsed: false,
      suspect: false,
      lostAgain: false,
      rereading: 0,
      readingWanted: false,
      eventsReadMs: Number.NEGATIVE_INFINITY,
      expectationsReadMs: Number.NEGATIVE_INFINITY,
      timersShortened: false,
      windowsDue: false,
      yieldedBefore: 0,
      stopping: false,
      asideUntilMs: Number.NEGATIVE_INFINITY,
      preparing: false,
      committedAheadMs: Number.NEGATIVE_INFINITY,
      lastRoleChange: null,
      lastCommit: null,
      takenOn: null,
      requests: {},
    },
  };
  const watch = new FlightWatch(node);
  return { ok: true, value: node };
}

/** Sockets of its own: what it tells the kernel mixes with no commit, and none of it comes back as an event. */
function makeApply(replica: Replica, doubtSeconds: number): Result<Apply | undefined, KernelError> {
  const { live } = replica;
  if (live === undefined) return { ok: true, value: undefined };
  const commit = KernelCommit.open();
  if (!commit.ok) return commit;
  const deletes = KernelDelete.open();
  if (!deletes.ok) return deletes;
  const timers = KernelTimers.open();
  if (!timers.ok) return timers;
  const expectations = makeApplyExpectations(replica);
  if (!expectations.ok) return expectations;
  const requests = { commit: commit.value, deletes: deletes.value, timers: timers.value };
  return { ok: true, value: new Apply({ replica, ...requests, expectations: expectations.value, doubtSeconds }, live) };
}

function makeApplyExpectations({ expectations }: Replica): Result<ApplyExpectations, KernelError> {
  const commit = ExpectationCommit.open();
  if (!commit.ok) return commit;
  const changes = ExpectationChanges.open();
  if (!changes.ok) return changes;
  return succeed(new ApplyExpectations({ expectations, commit: commit.value, changes: changes.value }));
}

function makeReplica(config: Config, filter: AddressFilter): Replica {
  const key = new Uint32Array(new Uint8Array(randomBytes(8)).buffer);
  const limits = { ...config.sync, inFlightMax: Math.min(IN_FLIGHT_MAX, config.sync.resendQueue / 2) };
  const firstSeq = firstSequence(Date.now());
  const [high, low] = new Uint32Array(new Uint8Array(randomBytes(8)).buffer);
  const epoch = { high: high || 1, low };
  return new Replica({
    flowsMax: config.sync.flowsMax,
    expectationsMax: EXPECTATIONS_MAX,
    staleMs: config.sync.purgeTimeoutSeconds * 1_000,
    filter,
    hashKey: [key[0], key[1]],
    live: config.sync.apply === "live",
    // Whoever has the key is a ctsync node.
    sessions: config.links.map(({ keyFile }) => {
      const extension = keyFile === "" ? undefined : { epoch };
      return (owner: SlotOwner) => new Ftfw(limits, firstSeq, owner, extension);
    }),
  });
}

const whole = ({ family, words }: Pick<Network, "family" | "words">): Network => ({
  family,
  words,
  prefixBits: family === 4 ? 32 : 128,
});

/** The machine's addresses and both ends of each link are the firewall's own affair. Those of the machine. */
function updateOwnAddresses(node: Node, ownFlows?: OwnFlows): readonly OwnAddress[] | undefined {
  const found = ownAddresses();
  if (!found.ok) {
    node.log.warning(explain(found.error));
    return undefined;
  }
  const ends = node.config.links.flatMap(({ local, peer }) => [local, peer]);
  node.watch.addresses(found.value);
  const isNew = found.value.some((address) => !node.filter.has(address));
  node.filter.setOwn([...found.value, ...ends].map(whole));
  if (isNew) ownFlows?.addressCame();
  return found.value;
}

/** The first reading of the kernel's table; then systemd hears that we are ready, and the peer is asked for all it has. */
function readKernel(node: Node, systemd: Systemd): void {
  for (const session of node.replica.sessions) session.request();
  node.apply?.begin(monotonicMs());
  void node.jobs.add(resync(node)).then((result) => {
    if (!result.ok) {
      node.log.error(result.error.error);
      node.state.stopping = true;
      process.exitCode = 1;
      return;
    }
    node.state.started = true;
    node.priority.start();
    node.log.info(
      `read ${result.value.read} flows from the kernel, ${node.replica.internal.count} of them to replicate`,
    );
    systemd.ready();
    if (node.apply !== undefined) void node.jobs.add(settle(node));
    void node.jobs
      .addIdle(
        rehearse(
          node.commit,
          node.links.some((link) => link.sealed),
        ),
      )
      .then(() => {
        node.state.rehearsed = true;
        return node.jobs.addIdle(collect(node));
      });
    const { auditSeconds } = node.config.sync;
    if (auditSeconds > 0)
      node.jobs.addIdle(audit(node, auditSeconds * 1_000)).catch((error: unknown) => {
        node.log.error(`internal error in the audit, which ends: ${error instanceof Error ? error.stack : error}`);
      });
  });
}

/** What only the kernel can say is read soon; one reading at a time, the first one is that of the start. */
function readWanted(node: Node): void {
  const { state, jobs, log } = node;
  if (state.readingWanted || !state.started) return;
  state.readingWanted = true;
  void jobs.addIdle(wantedReading(node)).then((read) => {
    state.readingWanted = false;
    if (!read.ok) log.warning(read.error.error);
  });
}

/** Events were lost: what they said is read from the kernel's table, while replication goes on. */
function repair(node: Node): void {
  const { state, log, events } = node;
  if (state.suspect) {
    state.lostAgain = true;
    return;
  }
  state.suspect = true;
  node.flight.note("overrun");
  log.warning(`the kernel dropped events (socket buffer ${events.bufferBytes} bytes now): rereading its table`);
  void node.jobs.add(resync(node)).then((result) => {
    state.suspect = false;
    if (state.lostAgain || !result.ok) {
      state.lostAgain = false;
      repair(node);
      return;
    }
    const { created, updated, removed } = result.value;
    log.info(`reread the kernel's table: ${created} flows were missing, ${updated} had changed, ${removed} had ended`);
  });
}
