/**
 * Load on a mixed pair, both ways round: conntrackd stands still for seconds while flows come, and the two are equal soon
 * after it goes on; then everything is asked for, and sent, once more, and the counts that ctsync tells are true.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { type ConntrackdNode, programsOf } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";
import { BOTH_WAYS_ROUND, converged, type Pair, startPair } from "./conntrackd-pair.ts";

setDefaultTimeout(60_000);
const GENERATE = `${import.meta.dir}/../lab/generate.ts`;
const FLOWS = 6_000;
const FLOWS_PER_SECOND = 2_000;

/** Flows that conntrackd's external cache took so far: those created and those updated. */
async function taken(node: ConntrackdNode): Promise<number> {
  const text = await node.conntrackd.run("-s", "cache");
  const external = text.slice(text.indexOf("cache:external"));
  const [created, updated] = [/creation OK\/failed:\s+(\d+)/, /update OK\/failed:\s+(\d+)/].map((count) =>
    Number(count.exec(external)?.[1]),
  );
  return created! + updated!;
}

describe.each(BOTH_WAYS_ROUND)("%s is primary, %s is backup", (primary, backup) => {
  let lab: Lab;
  let pair: Pair;

  beforeAll(async () => {
    lab = await Lab.create();
    pair = await startPair(lab, [primary, backup]);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test("conntrackd stands still under load, then catches up", async () => {
    const { conntrackd } = programsOf(pair);
    const count = ["--count", `${FLOWS}`, "--rate", `${FLOWS_PER_SECOND}`];
    const load = pair.primary.namespace.spawn([process.execPath, GENERATE, ...count]);
    await until(async () => (await pair.backup.external()).length > 0, 5_000, "the first flows arrive");
    conntrackd.signal("SIGSTOP");
    try {
      expect(await load.exited).toBe(0);
    } finally {
      conntrackd.signal("SIGCONT");
    }
    await converged(pair);
    expect((await pair.backup.external()).length).toBe(FLOWS);
  });

  test("all is exchanged once more by ctsync's command: complete when that returns, its count true", async () => {
    const { ctsync, conntrackd } = programsOf(pair);
    if (backup === "ctsync") {
      await ctsync.daemon.succeed("flush", "external");
      expect(await ctsync.daemon.succeed("request")).toBe("received 6000 flows from the peer\n");
      expect((await ctsync.external()).length).toBe(FLOWS);
    } else {
      const before = await taken(conntrackd);
      expect(await ctsync.daemon.succeed("bulk")).toBe("sent 6000 flows\n");
      expect((await taken(conntrackd)) - before).toBe(FLOWS);
    }
  });

  test("the other direction, which has nothing, ends as well", async () => {
    const { ctsync } = programsOf(pair);
    if (backup === "ctsync") expect(await ctsync.daemon.succeed("bulk")).toBe("sent 0 flows\n");
    else expect(await ctsync.daemon.succeed("request")).toBe("received 0 flows from the peer\n");
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});
