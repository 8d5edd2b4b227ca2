/**
 * Restarts in a mixed pair, both ways round: whichever of the two is killed and comes back, the backup is never left
 * empty, and in the end holds what the primary's kernel has, also what came while one was away.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { ConntrackdNode, programsOf } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";
import { BOTH_WAYS_ROUND, converged, insert, type Pair, remove, startPair } from "./conntrackd-pair.ts";
import { EVERY_KIND, flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);
const DEADLINE_MS = 15_000;
/** How long ctsync keeps flows that its peer, asked for all it has, does not name. */
const STALE_SECONDS = 2;

describe.each(BOTH_WAYS_ROUND)("%s is primary, %s is backup", (primary, backup) => {
  let lab: Lab;
  let pair: Pair;
  const flows = EVERY_KIND.map(([, wanted]) => flowOf(wanted));
  const latecomer = (source: number) => flowOf({ l4proto: 6, source, state: 3, mark: source });

  beforeAll(async () => {
    lab = await Lab.create();
    pair = await startPair(lab, [primary, backup], { purge_timeout_seconds: STALE_SECONDS });
    insert(pair.primary.namespace, flows);
    await converged(pair);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** What ctsync sent is known to have arrived, so that none of it is sent again but for the peer's restart. */
  async function acknowledged(): Promise<void> {
    const { ctsync } = programsOf(pair);
    const isAcknowledged = async () => (await ctsync.daemon.status()).peer.unacknowledged === 0;
    await until(isAcknowledged, DEADLINE_MS, "conntrackd has acknowledged what ctsync sent");
  }

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
    await acknowledged();
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

  test("what ended while the primary was away: ctsync finds out by asking, conntrackd keeps it until it is emptied", async () => {
    const holds = async (mark: string) => (await pair.backup.external()).some((flow) => flow.mark === mark);
    await pair.primary.stop("SIGKILL");
    remove(pair.primary.namespace, [latecomer(201)]);
    insert(pair.primary.namespace, [latecomer(203)]);
    await pair.primary.start();
    await until(() => holds("203"), DEADLINE_MS, "the backup hears of the newest flow");
    expect(await holds("201")).toBe(true);
    if (pair.backup instanceof ConntrackdNode) {
      await pair.backup.conntrackd.run("-f", "external");
      await pair.backup.conntrackd.run("-n");
    }
    await converged(pair);
    expect(await holds("201")).toBe(false);
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});
