/**
 * Restarts in a mixed pair, both ways round: whichever of the two is killed and comes back, the backup is never left
 * empty, and in the end holds what the primary's kernel has, also what came while one was away.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { ConntrackdNode, CtsyncNode, programsOf, type SyncNode } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";
import { BOTH_WAYS_ROUND, converged, insert, type Pair, remove, startPair } from "./conntrackd-pair.ts";
import { EVERY_KIND, flowOf } from "./kernel-traffic.ts";

const DEADLINE_MS = 15_000;

describe.each(BOTH_WAYS_ROUND)("%s is primary, %s is backup", (primary, backup) => {
  let lab: Lab;
  let pair: Pair;
  const flows = EVERY_KIND.map(([, wanted]) => flowOf(wanted));
  const latecomer = (source: number) => flowOf({ l4proto: 6, source, state: 3, mark: source });

  beforeAll(async () => {
    lab = await Lab.create();
    pair = await startPair(lab, [primary, backup]);
    insert(pair.primary.namespace, flows);
    await converged(pair);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** Looks at the backup's external cache all the while `work` lasts; the fewest flows it ever had. */
  async function fewestDuring(work: () => Promise<void>): Promise<number> {
    let fewest = Number.POSITIVE_INFINITY;
    let working = true;
    const watch = async () => {
      while (working) fewest = Math.min(fewest, (await pair.backup.external()).length);
    };
    const watching = watch();
    try {
      await work();
    } finally {
      working = false;
      await watching;
    }
    return fewest;
  }

  test("at their first meeting ctsync asks for everything once, and takes nothing for a restart", async () => {
    const { ctsync, conntrackd } = programsOf(pair);
    const asked = conntrackd.conntrackd.process.lines.filter(({ text }) => text.includes("resync requested"));
    expect(asked.length).toBe(1);
    expect((await ctsync.daemon.status()).counters.peer?.peerRestarts).toBe(0);
  });

  test("the primary is killed and comes back: the backup keeps what it had, and hears what came meanwhile", async () => {
    const fewest = await fewestDuring(async () => {
      await pair.primary.stop("SIGKILL");
      insert(pair.primary.namespace, [latecomer(201)]);
      await pair.primary.start();
      await converged(pair);
    });
    expect(fewest).toBe(flows.length);
  });

  test("the backup is killed and comes back empty: it gets everything again, without anybody's command", async () => {
    await pair.backup.stop("SIGKILL");
    insert(pair.primary.namespace, [latecomer(202)]);
    await pair.backup.start();
    await converged(pair);
  });

  test("the backup ends in good order and comes back", async () => {
    await pair.backup.stop();
    remove(pair.primary.namespace, [latecomer(202)]);
    await pair.backup.start();
    await converged(pair);
  });

  test("what ended while the primary was away stays in the backup until its cache is emptied: no message says so", async () => {
    const gone = latecomer(201);
    const holdsIt = async (node: SyncNode) => (await node.external()).some(({ mark }) => mark === "201");
    await pair.primary.stop("SIGKILL");
    remove(pair.primary.namespace, [gone]);
    insert(pair.primary.namespace, [latecomer(203)]);
    await pair.primary.start();
    const hears = async () => (await pair.backup.external()).some(({ mark }) => mark === "203");
    await until(hears, DEADLINE_MS, "the backup hears of the newest flow");
    expect(await holdsIt(pair.backup)).toBe(true);
    await emptyAndAsk(pair.backup);
    await converged(pair);
    expect(await holdsIt(pair.backup)).toBe(false);
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});

/** Empties the external cache and asks the peer for everything. */
async function emptyAndAsk(node: SyncNode): Promise<void> {
  if (node instanceof CtsyncNode) {
    await node.daemon.succeed("flush", "external");
    await node.daemon.succeed("request");
  } else if (node instanceof ConntrackdNode) {
    await node.conntrackd.run("-f", "external");
    await node.conntrackd.run("-n");
  }
}
