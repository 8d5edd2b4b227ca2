/** `ctsync verify` and `ctsync ready`: what they say, and with which exit status, in each situation. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import type { VerifyReport } from "../../src/report-verify.ts";
import { ctsync, type Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  connected,
  DEADLINE_MS,
  insert,
  makeSides,
  remove,
  replicated,
  type Side,
  type Sides,
  start,
  startPair,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab, { sync: { audit_seconds: 0 } });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const flows = (from: number, to: number, wanted: Partial<Parameters<typeof flowOf>[0]> = {}): f.Flow[] =>
  Array.from({ length: to - from }, (_, i) =>
    flowOf({ l4proto: 6, ports: f.portsWord(10_000 + from + i, 80), state: 3, ...wanted }),
  );

const command = (side: Side, ...args: readonly string[]) => ctsync(side.namespace, args, { config: side.config });
const reportOf = async (daemon: Daemon): Promise<VerifyReport> =>
  JSON.parse((await daemon.command("verify", "--json")).stdout) as VerifyReport;

const UNPROVABLE = "not known: the peer 10.0.9.2 cannot prove what it holds";

describe("verify", () => {
  test("says in sync, under load too, and what it cannot know", async () => {
    const [daemon] = await startPair(sides);
    insert(sides[0], flows(0, 5_000));
    await replicated(sides[0], sides[1]);
    const { status, stdout, stderr } = await daemon.command("verify");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith("in sync: 5000 flows, the same in the kernel and in the internal cache\n");
    expect(stdout).toContain(UNPROVABLE);

    const before = (await reportOf(daemon)).differences;
    expect(before).toEqual([]);
    let verifying = true;
    const verified = reportOf(daemon).finally(() => {
      verifying = false;
    });
    for (let round = 1; verifying; round++) {
      insert(sides[0], flows(0, 1_000, { mark: round }));
      remove(sides[0], flows(0, 500));
      await new Promise(setImmediate);
    }
    expect(await verified).toMatchObject({ inSync: true, missing: 0, changed: 0, dead: 0, differences: [] });
  });

  test("names exactly what differs, the first twenty, and counts the rest", async () => {
    // No event tells of these flows, whatever becomes of them, and the audit is off.
    await sides[0].namespace.sysctl({ "net.netfilter.nf_conntrack_events": 0 });
    insert(sides[0], flows(0, 100), 50_000);
    const [daemon] = await startPair(sides);
    await replicated(sides[0], sides[1]);
    insert(sides[0], flows(0, 1, { mark: 7 }), 50_000);
    insert(sides[0], flows(1, 2, { state: 4 }), 50_000);
    remove(sides[0], flows(2, 4));
    insert(sides[0], flows(100, 103));
    insert(sides[0], flows(4, 5), 500);

    const { status, stdout } = await daemon.command("verify");
    expect(status).toBe(1);
    const lines = stdout.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "differs: 3 flows missing in the internal cache",
      "differs: 2 flows different in the internal cache",
      "differs: 2 flows in the internal cache, and no more in the kernel",
      "differs: 1 flow with another timer in the internal cache",
    ]);
    const report = await reportOf(daemon);
    expect(report).toMatchObject({ inSync: false, flows: 100, missing: 3, changed: 2, dead: 2, timers: 1 });
    const told = report.differences.map(({ what, flow, fields }) => {
      const port = Number(/sport=(\d+)/.exec(flow)?.[1]) - 10_000;
      return [what, port, fields.map(({ field, kernel, cache }) => `${field} ${kernel} ${cache}`).join()] as const;
    });
    expect(told.filter(([what]) => what !== "timer").sort((a, b) => a[1] - b[1])).toEqual([
      ["changed", 0, "mark 7 none"],
      ["changed", 1, "state FIN_WAIT ESTABLISHED"],
      ["dead", 2, ""],
      ["dead", 3, ""],
      ["missing", 100, ""],
      ["missing", 101, ""],
      ["missing", 102, ""],
    ]);
    expect(told.find(([what]) => what === "timer")?.[2]).toMatch(/^timeoutSeconds (500|49\d) (50000|49\d\d\d)$/);
    // Nothing was changed by looking, and a resync mends it.
    expect(await reportOf(daemon)).toMatchObject({ missing: 3, changed: 2, dead: 2 });

    remove(sides[0], flows(5, 65));
    const { stdout: long } = await daemon.command("verify");
    expect(long.split("\n").filter((line) => /^ {2}(missing|changed|dead|timer) /.test(line))).toHaveLength(20);
    expect(long).toContain("\n  and 48 more differences\n");
    await daemon.succeed("resync");
    await replicated(sides[0], sides[1]);
    expect(await reportOf(daemon)).toMatchObject({ missing: 0, changed: 0, dead: 0 });
  });

  test("a flow that has ended is found out though another one runs the other way, by verify and by resync", async () => {
    await sides[0].namespace.sysctl({ "net.netfilter.nf_conntrack_events": 0 });
    const [flow] = flows(0, 1) as [f.Flow];
    insert(sides[0], [flow]);
    const [daemon] = await startPair(sides);
    await replicated(sides[0], sides[1]);
    remove(sides[0], [flow]);
    const { words } = flow;
    const reversed = new f.Flow();
    reversed.copyFrom(flow);
    reversed.words.set(words.subarray(f.REPLY_SRC, f.REPLY_PORTS + 1), f.ORIG_SRC);
    reversed.words.set(words.subarray(f.ORIG_SRC, f.ORIG_PORTS + 1), f.REPLY_SRC);
    insert(sides[0], [reversed]);
    expect(await reportOf(daemon)).toMatchObject({ missing: 1, dead: 1 });
    expect(await daemon.succeed("resync")).toContain(": 1 new, 0 updated, 1 removed");
    await replicated(sides[0], sides[1]);
  });

  test("fails without daemon or peer, and when it is called wrongly", async () => {
    const none = await command(sides[0], "verify");
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining("no daemon runs")]);
    const daemon = await start(sides[0]);
    const alone = await daemon.command("verify");
    expect([alone.status, alone.stdout]).toEqual([1, expect.stringContaining("the peer 10.0.9.2 is not heard")]);
    expect((await daemon.command("verify", "--jason")).status).toBe(2);
  });
});

describe("ready", () => {
  const ready = async (side: Side) => {
    const { status, stdout, stderr } = await command(side, "ready");
    expect(stderr).toBe("");
    return [status, stdout.trimEnd()] as const;
  };

  test("no daemon, an unheard peer, a peer that is gone, a peer that has sent all", async () => {
    expect(await ready(sides[0])).toEqual([1, expect.stringMatching(/^not ready: no daemon runs: /)]);
    const daemon = await start(sides[0]);
    expect(await ready(sides[0])).toEqual([1, "not ready: the peer 10.0.9.2 has not been heard yet"]);
    expect(await daemon.command("ready", "--quiet")).toMatchObject({ status: 1, stdout: "", stderr: "" });
    const alone = "ready: the peer 10.0.9.2 is not heard, so there is nothing that could be missing";
    await until(async () => (await ready(sides[0]))[1] === alone, DEADLINE_MS, "the peer is given up");

    await start(sides[1]);
    await connected(sides[0]);
    expect(await ready(sides[0])).toEqual([0, "ready: this node holds all that the peer 10.0.9.2 has"]);
    expect(await daemon.command("ready", "--quiet")).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect((await daemon.command("ready", "--quite")).status).toBe(2);
  });

  test("a peer that has not answered yet, a daemon that stands still, a primary", async () => {
    const [daemon, peer] = await startPair(sides);
    peer.process.kill("SIGSTOP");
    const asked = ask(sides[0], "POST", "/v1/request");
    await until(
      async () =>
        (await ready(sides[0]))[1] === "not ready: the peer 10.0.9.2 has not sent all yet that it was asked for",
      DEADLINE_MS,
      "it is not ready",
    );
    peer.process.kill("SIGCONT");
    await asked;
    await connected(sides[0]);

    daemon.process.kill("SIGSTOP");
    expect(await ready(sides[0])).toEqual([1, expect.stringMatching(/^not ready: .* has not answered for 1 seconds/)]);
    daemon.process.kill("SIGCONT");
    await daemon.succeed("notify", "MASTER");
    expect(await ready(sides[0])).toEqual([0, "ready: this node is primary, and the connections are in its kernel"]);
  });

  test("a cache that is full says so", async () => {
    const text = await Bun.file(sides[1].config).text();
    await Bun.write(sides[1].config, text.replace("[sync]", "[sync]\nflows_max = 16"));
    await startPair(sides);
    insert(sides[0], flows(0, 20));
    await until(async () => (await ready(sides[1]))[0] === 1, DEADLINE_MS, "it is not ready");
    expect((await ready(sides[1]))[1]).toContain("the external cache is full (sync.flows_max is 16)");
  });
});
