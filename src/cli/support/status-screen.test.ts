import { expect, test } from "bun:test";
import type { SealReport, StatusReport } from "../../report.ts";
import { statusScreen } from "./status-screen.ts";

const STATUS: StatusReport = {
  version: "0.1.0",
  pid: 4711,
  uptimeSeconds: 93_600,
  role: "master",
  ready: true,
  readyReason: "this node is primary, and the connections are in its kernel",
  internal: 12_345,
  external: 0,
  flowsMax: 1_048_576,
  expectations: { internal: 2, external: 0, max: 16_384 },
  peer: {
    address: "10.0.9.2",
    state: "connected",
    role: "backup",
    bulk: { sent: 12, total: 12, sending: false, arrived: true },
    lastHeardMs: 412,
    lagMs: 40,
    dirty: null,
    proof: { secondsAgo: 3, flows: 12_340, expectations: 0, leftovers: 0 },
    unacknowledged: 3,
    queued: 0,
    resent: 7,
    lost: 0,
  },
  link: { interface: "eth2", local: "10.0.9.1", peer: "10.0.9.2", port: 3780, mtuBytes: 1500, up: true, seal: null },
  apply: {
    mode: "live",
    active: false,
    waiting: 0,
    withdrawing: 0,
    oldestMs: 0,
    standing: 0,
    failing: 0,
    refusals: [],
    expectations: { standing: 0, failing: 0, refusals: [] },
  },
  kernel: { events: 1_234_567, overruns: 1, bufferBytes: 2_097_152, suspect: false },
  audit: {
    secondsAgo: 12,
    milliseconds: 850,
    flows: 12_345,
    missing: 0,
    changed: 2,
    dead: 0,
    timers: 1_000,
    expectations: 3,
    expectationsMended: 1,
  },
  loop: {
    ...{ turns: 500_000, longestPauseMs: 8.25, recentPauseMs: 1.5 },
    longest: { secondsAgo: 1_234, part: "job", partMs: 7.11, cpuMs: 0.5, waits: 1, preemptions: 2, diskFaults: 0 },
  },
  recorder: { path: "/var/lib/ctsync/timeline.ring", written: 1_024, lost: 0, error: null },
  lastRoleChange: { role: "master", ok: true, secondsAgo: 300, milliseconds: 41.7 },
  lastCommit: {
    ...{ first: 0, committed: 12_345, updated: 0, failed: 0, failures: [], lessened: [], milliseconds: 40 },
    expectations: { committed: 0, failed: 0, failures: [], orphaned: 0 },
    secondsAgo: 300,
  },
  keepalived: {
    fifo: null,
    fifoHasWriter: false,
    fifoWords: 0,
    fifoSkipped: 0,
    echoes: 0,
    addressesHeld: 0,
    addresses: 0,
    doubt: null,
    peerRole: "unknown",
  },
  gate: { state: "off", obstacle: null, blind: null, held: 0, mute: false, unanswered: 0, openedMs: null },
  splitBrain: null,
  takenOn: null,
  requests: { notify: 1, dump: 0, status: 12 },
  counters: { wire: { badVersion: 0, truncated: 2, unknownAttribute: 1 }, session: { stale: 0 } },
};

test("what is out of order about the role stands below it", () => {
  const screen = statusScreen({
    ...STATUS,
    keepalived: { ...STATUS.keepalived, fifo: false, doubt: "the role is master, but none is held" },
    gate: { ...STATUS.gate, state: "shut", held: 1_234 },
    splitBrain: { seconds: 75 },
    takenOn: {
      ...{ flows: 12, failed: 1, milliseconds: 3, secondsAgo: 60 },
      failures: [{ errno: "EBUSY", reason: "it stands otherwise", count: 1 }],
    },
  });
  expect(screen.split("\n").slice(1, 7)).toEqual([
    "role      master, for 5 min (the change took 42 ms)",
    "SPLIT     BRAIN: the peer has been master too for 1 min 15 s",
    "          two were primary: 12 flows of the other one taken on 1 min ago, 1 refused (it stands otherwise)",
    "          DOUBTFUL: the role is master, but none is held",
    "          keepalived's notify_fifo is not there",
    "gate      shut, 1,234 packets dropped",
  ]);
  const off = statusScreen({ ...STATUS, gate: { ...STATUS.gate, obstacle: "nobody knows why" } });
  expect(off).toContain("gate      off: nobody knows why");
  const mute = statusScreen({ ...STATUS, gate: { ...STATUS.gate, state: "open", mute: true, unanswered: 5_678 } });
  expect(mute).toContain("gate      open, 0 packets dropped, 5,678 left unanswered");
  const alone = statusScreen({ ...STATUS, keepalived: { ...STATUS.keepalived, fifo: true } });
  expect(alone).toContain("nobody writes to keepalived's notify_fifo");
  const heard = statusScreen({ ...STATUS, keepalived: { ...STATUS.keepalived, fifo: true, fifoHasWriter: true } });
  expect(heard).not.toContain("notify_fifo");
});

test("a healthy master", () => {
  expect(statusScreen(STATUS)).toBe(
    `
ctsync    0.1.0, pid 4711, up 1 d 2 h
role      master, for 5 min (the change took 42 ms)
ready     yes: this node is primary, and the connections are in its kernel
internal  12,345 of at most 1,048,576 flows
external  0 of at most 1,048,576 flows
expected  2 expectations internal, 0 external, of at most 16,384 each
peer      10.0.9.2 connected, its role backup, last heard 412 ms ago
          3 unacknowledged, 0 queued, 7 resent, 0 lost
          behind by 40 ms
          proven equal over 12,340 flows 3 s ago
link      eth2 up, 10.0.9.1 to 10.0.9.2, UDP port 3780, MTU 1500
          OPEN: it has no key, so whoever can send on it can add flows (see ctsync keygen)
kernel    1,234,567 events, 1 overruns, buffer 2 MiB
          compared with the internal cache 12 s ago, in 850 ms: 2 changed, 1,000 timers, 1 expectations
loop      paused for 1.5 ms at most lately, 8.3 ms ever
          that was 1,234 s ago: 7.1 ms in job, 0.5 ms on a processor, waited 1 times, was preempted 2 times
recorder  /var/lib/ctsync/timeline.ring, 1,024 records
requests  notify 1, status 12

counters
  wire  truncated 2, unknownAttribute 1`.trimStart(),
  );
});

test("a backup whose kernel follows its peer says how far", () => {
  const screen = (apply: Partial<StatusReport["apply"]>) =>
    statusScreen({ ...STATUS, role: "backup", apply: { ...STATUS.apply, active: true, standing: 100_000, ...apply } });
  expect(screen({})).toContain("\n          has 100,000 flows of the peer, none waits\n");
  expect(screen({ waiting: 1_200, withdrawing: 34, oldestMs: 8 })).toContain(
    "has 100,000 flows of the peer, 1,234 wait, the oldest for 8 ms\n",
  );
  const full = { errno: "ENOMEM", reason: "the table is full", count: 5_000 };
  expect(screen({ failing: 12, refusals: [full] })).toContain(
    "refuses 12 flows of the peer: ENOMEM, the table is full (5,000 times)\n",
  );
  expect(screen({ failing: 1 })).toContain("refuses 1 flows of the peer: their masters are not there\n");
  const many = { errno: "EMFILE", reason: "there are too many", count: 3 };
  expect(screen({ expectations: { standing: 12, failing: 2, refusals: [many] } })).toContain(
    "has 12 expectations of the peer\n          refuses 2 expectations: EMFILE, there are too many (3 times)\n",
  );
});

test("a node in trouble says so", () => {
  const screen = statusScreen({
    ...STATUS,
    role: "unknown",
    ready: false,
    readyReason: "the peer 10.0.9.2 has not been heard yet",
    peer: {
      ...STATUS.peer,
      state: "silent",
      role: null,
      bulk: null,
      lastHeardMs: null,
      lagMs: 0,
      dirty: "some reason",
      proof: null,
    },
    link: { ...STATUS.link, up: false },
    kernel: { ...STATUS.kernel, suspect: true },
    lastRoleChange: null,
    lastCommit: {
      ...{ first: 0, committed: 900, updated: 50, failed: 50, milliseconds: 40, secondsAgo: 60 },
      failures: [{ errno: "ENOMEM", reason: "the conntrack table is full", count: 50 }],
      lessened: [{ without: "helper", count: 7 }],
      expectations: { committed: 0, failed: 0, failures: [], orphaned: 0 },
    },
    requests: {},
    counters: {},
  });
  expect(screen).toContain("unknown: keepalived has said nothing since the start");
  expect(screen).toContain("no: the peer 10.0.9.2 has not been heard yet");
  expect(screen).toContain("10.0.9.2 silent, never heard");
  expect(screen).toContain("\n          dirty: some reason\n");
  expect(screen).not.toContain("proven equal");
  expect(screen).not.toContain("behind by");
  expect(screen).toContain("eth2 DOWN");
  expect(screen).toContain("events were lost");
  expect(screen).toContain("commit    50 of 1,000 flows refused 1 min ago: the conntrack table is full (ENOMEM)\n");
  expect(screen).toContain("\n          7 of 1,000 flows taken without helper 1 min ago\n");
  expect(screen).not.toContain("counters");
});

test("a peer that sends all it has, or holds more than this node tells", () => {
  const screen = statusScreen({
    ...STATUS,
    peer: {
      ...STATUS.peer,
      bulk: { sent: 5_000, total: 20_000, sending: true, arrived: false },
      proof: { secondsAgo: 3, flows: 12_340, expectations: 2, leftovers: 17 },
    },
  });
  expect(screen).toContain("\n          its bulk: 5,000 of 20,000 flows sent\n");
  expect(screen).toContain("flows and 2 expectations 3 s ago, beside 17 that this node told before it started anew\n");
});

test("a sealed link says with what, and whose session it believes", () => {
  const seal: SealReport = {
    key: "5f3a9c01",
    accepted: ["5f3a9c01"],
    peerKey: null,
    session: "0123456789abcdef",
    peerSession: null,
    ready: false,
  };
  const line = (more: Partial<SealReport>): string | undefined =>
    statusScreen({ ...STATUS, link: { ...STATUS.link, seal: { ...seal, ...more } } })
      .split("\n")
      .find((text) => text.includes("sealed"))
      ?.trim();
  expect(line({})).toBe("sealed with key 5f3a9c01, no session of the peer yet");
  const peer = { peerKey: "5f3a9c01", peerSession: "fedcba9876543210" };
  expect(line(peer)).toBe(
    "sealed with key 5f3a9c01, session fedcba9876543210 of the peer, which has not greeted back yet",
  );
  expect(line({ ...peer, ready: true, peerKey: "77b0e412", accepted: ["5f3a9c01", "77b0e412"] })).toBe(
    "sealed with key 5f3a9c01, accepts 77b0e412 too, the peer uses 77b0e412, session fedcba9876543210 of the peer",
  );
});
