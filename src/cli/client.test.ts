/** The commands that ask the daemon for work, against something that answers as the daemon does. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ctsync, lines, MAIN, TestDaemon, TestDirectory } from "./test-daemon.ts";

const NONE = { committed: 0, failed: 0, failures: [], orphaned: 0 };
const FAILURES = [
  { errno: "ENOENT", reason: "the helper is not loaded", count: 1 },
  { errno: "ENOMEM", reason: "the table is full", count: 2 },
];

/** The words, what the daemon answers, what is printed, and what the daemon was told when it was told more than {}. */
type Done = readonly [words: readonly string[], value: object, stdout: string, body?: object];

const DONE: readonly Done[] = [
  [
    ["commit"],
    { committed: 1200, updated: 0, failed: 0, failures: [], lessened: [], expectations: NONE, milliseconds: 9 },
    "committed 1200 flows\n",
  ],
  [
    ["commit"],
    {
      committed: 1,
      updated: 0,
      failed: 0,
      failures: [],
      lessened: [{ without: "helper", count: 1 }],
      expectations: NONE,
      milliseconds: 9,
    },
    "committed 1 flow\n1 flow without helper, which this kernel does not have\n",
  ],
  [
    ["commit"],
    {
      ...{ committed: 1, updated: 0, failed: 0, failures: [], lessened: [], milliseconds: 9 },
      expectations: { committed: 2, failed: 0, failures: [], orphaned: 1 },
    },
    "committed 1 flow\ncommitted 2 expectations\n1 expectation passed over, whose master is not in the kernel\n",
  ],
  [["flush"], { removed: 7 }, "removed 7 flows from both caches\n", { what: "caches" }],
  [["flush", "internal"], { removed: 7 }, "removed 7 flows from the internal cache\n", { what: "internal" }],
  [["flush", "--external"], { removed: 1 }, "removed 1 flow from the external cache\n", { what: "external" }],
  [["flush", "--kernel"], { removed: 0 }, "removed 0 flows from the kernel's table\n", { what: "kernel" }],
  [
    ["resync"],
    { read: 5, created: 1, updated: 2, removed: 3 },
    "read 5 flows from the kernel: 1 new, 2 updated, 3 removed\n",
  ],
  [["bulk"], { sent: 5, unreachable: [] }, "sent 5 flows\n"],
  [["request"], { received: 5 }, "received 5 flows from the peer\n"],
  [["reset-timers"], { shortened: 5, failed: 0, seconds: 60 }, "shortened the timers of 5 flows to 60 seconds\n"],
  [
    ["notify", "INSTANCE", "VI_1", "MASTER", "100", "more"],
    {
      role: "master",
      steps: [
        { step: "commit", ok: true, text: "committed 3 flows", milliseconds: 1.6 },
        { step: "flush", ok: true, text: "emptied", milliseconds: 0 },
      ],
    },
    "commit: committed 3 flows (2 ms)\nflush: emptied (0 ms)\n",
    { role: "master", instance: "VI_1", priority: 100 },
  ],
];

test.each(DONE)("%j done", async (words, value, stdout, body = {}) => {
  using daemon = new TestDaemon(() => lines({ progress: "working", done: 1, total: 2 }, { ok: true, value }));
  expect(await ctsync(...words, "--socket", daemon.socket)).toEqual({ code: 0, stdout, stderr: "" });
  expect(daemon.received).toEqual([{ method: "POST", path: `/v1/${words[0]}`, body }]);
});

test.each([
  [
    "commit",
    {
      ok: false,
      error: "2 expectations could not be committed",
      value: {
        ...{ committed: 0, updated: 0, failed: 0, failures: [], lessened: [], milliseconds: 9 },
        expectations: { committed: 0, failed: 2, failures: FAILURES.slice(1), orphaned: 0 },
      },
    },
    "committed 0 flows\ncommitted 0 expectations, 2 refused\n",
    "refused 2 expectations: the table is full (ENOMEM)\nctsync commit: 2 expectations could not be committed\n",
  ],
  [
    "commit",
    {
      ok: true,
      value: {
        committed: 1197,
        updated: 3,
        failed: 3,
        failures: FAILURES,
        lessened: [],
        expectations: NONE,
        milliseconds: 9,
      },
    },
    "committed 1200 flows (3 already in the kernel, updated in place), 3 refused\n",
    "refused 1 flow: the helper is not loaded (ENOENT)\nrefused 2 flows: the table is full (ENOMEM)\n",
  ],
  [
    "commit",
    {
      ok: false,
      error: "the kernel's table is full",
      value: { committed: 0, updated: 0, failed: 2, failures: [], lessened: [], expectations: NONE },
    },
    "committed 0 flows, 2 refused\n",
    "ctsync commit: the kernel's table is full\n",
  ],
  ["flush", { ok: false, error: "a commit is under way" }, "", "ctsync flush: a commit is under way\n"],
  ["resync", { ok: false, error: "no answer" }, "", "ctsync resync: no answer\n"],
  [
    "bulk",
    { ok: true, value: { sent: 9, unreachable: ["10.0.9.2"] } },
    "sent 9 flows\n",
    "ctsync bulk: no acknowledgement from 10.0.9.2\n",
  ],
  ["request", { ok: false, error: "the peer is silent" }, "", "ctsync request: the peer is silent\n"],
  [
    "reset-timers",
    { ok: true, value: { shortened: 5, failed: 1, seconds: 1 } },
    "shortened the timers of 5 flows to 1 second\n",
    "ctsync reset-timers: the kernel refused 1 flow\n",
  ],
  ["stop", { ok: false, error: "a commit is under way" }, "", "ctsync stop: a commit is under way\n"],
  [
    "notify master",
    {
      ok: false,
      error: "1 step failed",
      value: { role: "master", steps: [{ step: "bulk", ok: false, text: "the peer is silent", milliseconds: 2000 }] },
    },
    "",
    "bulk: the peer is silent (2000 ms)\nctsync notify: 1 step failed\n",
  ],
])("%s failed", async (command, final, stdout, stderr) => {
  using daemon = new TestDaemon(() => lines(final));
  expect(await ctsync(...command.split(" "), "--socket", daemon.socket)).toEqual({ code: 1, stdout, stderr });
});

test("a refusal by HTTP status carries its sentence too", async () => {
  using daemon = new TestDaemon(() => Response.json({ error: "it is stopping" }, { status: 503 }));
  expect(await ctsync("commit", "--socket", daemon.socket)).toMatchObject({
    code: 1,
    stderr: "ctsync commit: it is stopping\n",
  });
});

test("another program behind the socket is no daemon", async () => {
  using daemon = new TestDaemon(() => new Response("<h1>Hello</h1>", { status: 404 }));
  const { code, stderr } = await ctsync("commit", "--socket", daemon.socket);
  expect([code, stderr.split("\n").length]).toEqual([1, 2]);
  expect(stderr).toContain("the daemon answered HTTP 404");
});

test("a daemon that dies within its answer is a failure", async () => {
  using daemon = new TestDaemon(() => lines({ progress: "committing", done: 1, total: 2 }));
  expect(await ctsync("commit", "--socket", daemon.socket)).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "ctsync commit: the daemon stopped before it was done. See its log (journalctl -u ctsync), then try again.\n",
  });
});

test("a daemon that is killed while it works is a failure", async () => {
  using daemon = new TestDaemon(() => {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode('{"progress":"committing","done":1}\n'));
        await daemon.kill();
      },
    });
    return new Response(body);
  });
  const { code, stdout, stderr } = await ctsync("commit", "--socket", daemon.socket);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(
    /^ctsync commit: the (daemon stopped|connection to the daemon broke) before it was done[^\n]*\n$/,
  );
});

test("without a daemon, one sentence says what to do", async () => {
  using directory = new TestDirectory();
  const missing = join(directory.path, "none.sock");
  expect(await ctsync("status", "--socket", missing)).toEqual({
    code: 1,
    stdout: "",
    stderr: `ctsync status: no daemon runs: there is no socket ${missing}. Start it with: systemctl start ctsync (or name its socket with --socket PATH)\n`,
  });
  const stale = directory.write("stale.sock", "");
  expect(await ctsync("notify", "master", "--socket", stale)).toEqual({
    code: 1,
    stdout: "",
    stderr: `ctsync notify: no daemon runs: nobody listens on ${stale}. Start it with: systemctl start ctsync\n`,
  });
});

test("the socket is learnt from the configuration, even from one with mistakes elsewhere", async () => {
  using daemon = new TestDaemon(() => lines({ ok: true, value: { role: "master", steps: [] } }));
  const config = daemon.directory.write("ctsync.toml", `[synk]\nmode = ftfw\n[control]\nsocket = "${daemon.socket}"\n`);
  expect(await ctsync("notify", "master", "--config", config)).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("without a configuration the default socket is tried, with a warning", async () => {
  using daemon = new TestDaemon(() => lines());
  const { code, stderr } = await ctsync("notify", "master", "--config", join(daemon.directory.path, "none.toml"));
  expect(code).toBe(1);
  expect(stderr).toContain("none.toml (ENOENT), so the control socket is taken to be /run/ctsync/ctsync.sock\n");
});

test("stop returns when the daemon is gone", async () => {
  let statusRequests = 0;
  using daemon = new TestDaemon(({ path }) => {
    if (path === "/v1/stop") return lines({ ok: true, value: { pid: 4711 } });
    if (++statusRequests === 3) void daemon.kill();
    return Response.json({ pid: 4711 });
  });
  expect(await ctsync("stop", "--socket", daemon.socket)).toEqual({
    code: 0,
    stdout: "stopped the daemon (pid 4711)\n",
    stderr: "",
  });
  expect(statusRequests).toBe(3);
});

test("stop takes another daemon behind the socket for the end of the first", async () => {
  using daemon = new TestDaemon(({ path }) =>
    path === "/v1/stop" ? lines({ ok: true, value: { pid: 4711 } }) : Response.json({ pid: 4712 }),
  );
  expect((await ctsync("stop", "--socket", daemon.socket)).code).toBe(0);
});

test("status --json is the daemon's object", async () => {
  using daemon = new TestDaemon(() => Response.json({ internal: 3, external: 4 }));
  const { code, stdout } = await ctsync("status", "--json", "--socket", daemon.socket);
  expect([code, JSON.parse(stdout)]).toEqual([0, { internal: 3, external: 4 }]);
  expect(daemon.received).toEqual([{ method: "GET", path: "/v1/status", body: null }]);
});

const NO_DIFFERENCE = { count: 0, missing: 0, changed: 0, dead: 0, differences: [] };
const EQUAL = {
  inSync: true,
  flows: 3,
  missing: 0,
  changed: 0,
  dead: 0,
  timers: 0,
  differences: [],
  expectations: NO_DIFFERENCE,
};
const peer = (state: string, differing = 0, leftovers = 0, dirty: string | null = null, expectations = 0) => [
  { address: "10.0.9.2", state, flows: 3, expectations, differing, leftovers, dirty },
];

test.each([
  [
    "equal everywhere",
    { ...EQUAL, peers: peer("equal") },
    0,
    "in sync: 3 flows, the same in the kernel and in the internal cache\n" +
      "in sync: 3 flows, the same in the internal cache and at the peer 10.0.9.2\n",
  ],
  [
    "another peer's cache",
    { ...EQUAL, inSync: false, peers: peer("differs", 2) },
    1,
    "in sync: 3 flows, the same in the kernel and in the internal cache\n" +
      "differs: the peer 10.0.9.2 holds something else than the 3 flows here (2 parts of its table)\n",
  ],
  [
    "another peer's cache, and why",
    { ...EQUAL, inSync: false, peers: peer("differs", 2, 0, "it is full") },
    1,
    "in sync: 3 flows, the same in the kernel and in the internal cache\n" +
      "differs: the peer 10.0.9.2 holds something else than the 3 flows here (2 parts of its table): it is full\n",
  ],
  [
    "a peer that holds more than this life told",
    { ...EQUAL, inSync: false, peers: peer("leftovers", 0, 4) },
    1,
    "in sync: 3 flows, the same in the kernel and in the internal cache\n" +
      "differs: the peer 10.0.9.2 holds the 3 flows here, and 4 flows that this node told before it started anew " +
      "(they go after the peer's sync.purge_timeout_seconds)\n",
  ],
  [
    "another internal cache",
    {
      ...EQUAL,
      inSync: false,
      changed: 1,
      dead: 2,
      differences: [{ what: "changed", flow: "tcp", fields: [{ field: "mark", kernel: "7", cache: "none" }] }],
      peers: peer("unprovable"),
    },
    1,
    "differs: 1 flow different in the internal cache\n" +
      "differs: 2 flows in the internal cache, and no more in the kernel\n" +
      "  changed  tcp\n           mark: kernel 7, cache none\n  and 2 more differences\n" +
      "not known: the peer 10.0.9.2 cannot prove what it holds, since the link has no key (it may be a conntrackd)\n",
  ],
  [
    "expectations too",
    { ...EQUAL, expectations: { ...NO_DIFFERENCE, count: 2 }, peers: peer("equal", 0, 0, null, 1) },
    0,
    "in sync: 3 flows and 2 expectations, the same in the kernel and in the internal cache\n" +
      "in sync: 3 flows and 1 expectation, the same in the internal cache and at the peer 10.0.9.2\n",
  ],
  [
    "other expectations",
    {
      ...EQUAL,
      inSync: false,
      expectations: {
        ...NO_DIFFERENCE,
        count: 5,
        missing: 1,
        dead: 2,
        differences: [
          { what: "missing", expectation: "proto=6", fields: [] },
          { what: "changed", expectation: "proto=17", fields: [{ field: "class", kernel: "1", cache: "none" }] },
        ],
      },
      peers: peer("unprovable"),
    },
    1,
    "in sync: 3 flows, the same in the kernel and in the internal cache\n" +
      "differs: 1 expectation missing in the internal cache\n" +
      "differs: 2 expectations in the internal cache, and no more in the kernel\n" +
      "  missing  proto=6\n  changed  proto=17\n           class: kernel 1, cache none\n  and 1 more difference\n" +
      "not known: the peer 10.0.9.2 cannot prove what it holds, since the link has no key (it may be a conntrackd)\n",
  ],
] as const)("verify: %s", async (_, value, code, stdout) => {
  using daemon = new TestDaemon(() => lines({ progress: "comparing", done: 1 }, { ok: true, value }));
  expect(await ctsync("verify", "--socket", daemon.socket)).toEqual({ code, stdout, stderr: "" });
  const json = await ctsync("verify", "--json", "--socket", daemon.socket);
  expect([json.code, JSON.parse(json.stdout)]).toEqual([code, value]);
});

test("stats: a line a counter, zeros too", async () => {
  const counters = { kernel: { received: 1200, overruns: 0 }, audit: { passes: 7 } };
  using daemon = new TestDaemon(() => Response.json({ counters }));
  expect(await ctsync("stats", "--socket", daemon.socket)).toEqual({
    code: 0,
    stdout: "kernel.received  1200\nkernel.overruns     0\naudit.passes        7\n",
    stderr: "",
  });
  expect(JSON.parse((await ctsync("stats", "--json", "--socket", daemon.socket)).stdout)).toEqual(counters);
});

test("status --watch shows what is new each second, without a terminal one below the other, and ends at SIGINT", async () => {
  let uptimeSeconds = 0;
  using daemon = new TestDaemon(() => Response.json({ error: `asked ${++uptimeSeconds} times` }, { status: 503 }));
  const child = Bun.spawn([...MAIN, "status", "--watch", "--socket", daemon.socket], {
    stdout: "pipe",
    stdin: "ignore",
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("asked 2 times")) child.kill("SIGINT");
  }
  expect(text).toBe("ctsync status: asked 1 times\n\nctsync status: asked 2 times\n\n");
  expect(await child.exited).toBe(0);
  expect((await ctsync("status", "--watch", "--json")).code).toBe(2);
});
