/** A link with a key, between real daemons: who has not the key, or plays back what he heard, changes nothing. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, rmSync } from "node:fs";
import type { StatusReport } from "../../src/report.ts";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { Loss } from "../lab/loss.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  cached,
  connected,
  DEADLINE_MS,
  insert,
  replicated,
  type Sides,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";
import { inject, Recorder } from "./recorder.ts";
import {
  configure,
  copyKey,
  keyFileOf,
  keygen,
  makeSealedSides,
  REFUSALS,
  refusals,
  rekey,
  sealOf,
} from "./sealed-pair.ts";

const VICTIM = 0x0a000901;
const PEER = 0x0a000902;
const HELLO_BYTES = 80;

setDefaultTimeout(60_000);

const flows = Array.from({ length: 1_000 }, (_, i) => flowOf({ l4proto: 6, source: 1 + (i >> 8), ports: i, state: 3 }));
let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSealedSides(lab);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

async function kill({ process }: Daemon): Promise<void> {
  process.kill("SIGKILL");
  expect(await process.exited).toBe(137);
}

const refusedIn = ({ counters }: StatusReport): number =>
  REFUSALS.reduce((sum, name) => sum + counters.link![name]!, 0);

/** Plays the datagrams to the first machine in its peer's name, and waits until each is accounted for. */
async function playBack(datagrams: readonly Uint8Array[]): Promise<void> {
  const before = await statusOf(sides[0]);
  const counted = ({ counters }: StatusReport): number =>
    REFUSALS.reduce((sum, name) => sum + counters.link![name]!, counters.link!.greetings!);
  let played = 0;
  const heard = (count: number) => async () => counted(await statusOf(sides[0])) - counted(before) >= count;
  await inject(sides[1].namespace, PEER, VICTIM, datagrams, () => {
    played += 50;
    return until(heard(played), DEADLINE_MS, `${played} are counted`);
  });
  await until(heard(datagrams.length), DEADLINE_MS, "all are counted");
}

test("both replicate in both directions, and nothing on the wire can be read", async () => {
  using recorder = new Recorder(sides[0].namespace);
  await startPair(sides);
  insert(sides[1], flows);
  insert(sides[0], [flowOf({ l4proto: 17, source: 77 })]);
  await replicated(sides[1], sides[0]);
  await replicated(sides[0], sides[1]);
  const [one, two] = [sealOf(await statusOf(sides[0])), sealOf(await statusOf(sides[1]))];
  expect(one).toMatchObject({ ready: true, key: two.key, peerKey: two.key, peerSession: two.session });
  expect(two).toMatchObject({ ready: true, accepted: [one.key], peerSession: one.session });
  for (const side of sides) expect(await refusals(side)).toEqual({});
  const datagrams = recorder.datagrams();
  expect(datagrams.length).toBeGreaterThan(50);
  const destination = Buffer.from("c6120001", "hex");
  for (const bytes of datagrams) {
    expect(bytes[0]).toBe(0xc1);
    expect(bytes.length).toBeLessThan(1500 - 28);
    expect(Buffer.from(bytes).includes(destination)).toBeFalse();
  }
});

test("they find each other with 30% of all datagrams lost", async () => {
  for (const { namespace } of sides) await Loss.of(namespace, "sync", 30);
  await startPair(sides);
  insert(sides[1], flows);
  await replicated(sides[1], sides[0], 30_000);
});

test("another key: each refuses the other and says so; with the same key they go on, without a restart", async () => {
  await keygen(sides[1], "--force");
  const daemons = [await start(sides[0]), await start(sides[1])] as const;
  insert(sides[1], flows);
  for (const daemon of daemons)
    await daemon.process.waitForLine(/sealed with a key that is not in the key file/, DEADLINE_MS);
  for (const side of sides) {
    const status = await statusOf(side);
    expect(status).toMatchObject({ external: 0, peer: { lastHeardMs: null } });
    expect(sealOf(status)).toMatchObject({ ready: false, peerSession: null, peerKey: null });
    expect(Object.keys(await refusals(side))).toEqual(["wrongKey"]);
  }
  copyKey(...sides);
  expect(await rekey(sides[1])).toBe(
    `sends with key ${sealOf(await statusOf(sides[0])).key}, accepts ${sealOf(await statusOf(sides[0])).key}\n`,
  );
  await replicated(sides[1], sides[0]);
});

test("a peer without a key: refused here, skipped there, and told by both", async () => {
  await configure(lab, sides[1], "open");
  const [sealed, open] = [await start(sides[0]), await start(sides[1])];
  insert(sides[1], flows);
  await sealed.process.waitForLine(/from 10\.0\.9\.2's address are clear/, DEADLINE_MS);
  await until(async () => (await statusOf(sides[1])).counters.wire!.badVersion! > 0, DEADLINE_MS, "it is skipped");
  expect(await statusOf(sides[0])).toMatchObject({ external: 0, peer: { lastHeardMs: null } });
  expect(Object.keys(await refusals(sides[0]))).toEqual(["clear"]);
  expect(await statusOf(sides[1])).toMatchObject({ external: 0, link: { seal: null } });
  expect(await open.succeed("status")).toContain("OPEN: it has no key");
  expect(await sealed.succeed("status")).toContain("sealed with key ");
  // The key comes, and with it the flows.
  await open.stop();
  await configure(lab, sides[1], "sealed");
  await start(sides[1]);
  await replicated(sides[1], sides[0]);
});

test("datagrams recorded and played back, whole or changed, change nothing in a daemon that runs", async () => {
  using recorder = new Recorder(sides[0].namespace);
  await startPair(sides);
  insert(sides[1], flows);
  await replicated(sides[1], sides[0]);
  const before = await cached(sides[0], "external");
  const session = sealOf(await statusOf(sides[0])).peerSession;
  const recorded = [...recorder.datagrams()];
  await playBack(recorded);
  const changed = recorded.map((bytes, i) => {
    const copy = bytes.slice();
    copy[24 + ((i * 7) % (bytes.length - 24))]! ^= 1 << (i % 8);
    copy[23]! ^= 0x80; // Another counter, or it would be known for a repetition at once.
    return copy;
  });
  await playBack(changed);
  const status = await statusOf(sides[0]);
  expect(
    Object.keys(await refusals(sides[0]))
      .filter((name) => name !== "oldSession" && name !== "tooOld")
      .sort(),
  ).toEqual(["forged", "replayed"]);
  expect(status.counters.link!.replayed).toBeGreaterThan(20);
  expect(status.counters.link!.forged).toBeGreaterThan(20);
  expect(sealOf(status)).toMatchObject({ ready: true, peerSession: session });
  expect(status.peer).toMatchObject({ state: "connected", lost: 0 });
  expect(await cached(sides[0], "external")).toEqual(before);
  insert(sides[1], [flowOf({ l4proto: 17, source: 78 })]);
  await replicated(sides[1], sides[0]);
});

test("a whole session played back to a daemon that has just started establishes nothing", async () => {
  using recorder = new Recorder(sides[0].namespace);
  const [victim, peer] = await startPair(sides);
  insert(sides[1], flows);
  await replicated(sides[1], sides[0]);
  const recorded = [...recorder.datagrams()];
  const hellos = recorded.filter((bytes) => bytes.length === HELLO_BYTES && bytes[1] === 1).length;
  expect(hellos).toBeGreaterThan(0);
  expect(recorded.length - hellos).toBeGreaterThan(20);
  await kill(peer); // What the recorder says is not drowned.
  await kill(victim);
  await start(sides[0]);
  for (let round = 0; round < 3; round++) await playBack(recorded);
  const status = await statusOf(sides[0]);
  expect(status).toMatchObject({ external: 0, peer: { lastHeardMs: null } });
  expect(status.counters.wire!.datagrams).toBe(0);
  expect(sealOf(status)).toMatchObject({ ready: false, peerSession: null });
  expect(await refusals(sides[0])).toEqual({ oldSession: 3 * (recorded.length - hellos) });
  expect(status.counters.link!.greetings).toBe(3 * hellos);
  await start(sides[1]);
  await connected(sides[0]);
  await replicated(sides[1], sides[0]);
  const now = await cached(sides[0], "external");
  const refused = refusedIn(await statusOf(sides[0]));
  await playBack(recorded);
  expect(refusedIn(await statusOf(sides[0]))).toBe(refused + recorded.length - hellos);
  expect(await cached(sides[0], "external")).toEqual(now);
});

test("keys change in three steps under load: no flow is lost, nothing is refused, no session begins anew", async () => {
  await startPair(sides);
  const ids = async () => sealOf(await statusOf(sides[0]));
  const { peerSession: session, key: old } = await ids();
  let [told, loading] = [0, true];
  const load = (async () => {
    while (loading) {
      insert(sides[1], flows.slice(told % flows.length, (told % flows.length) + 10));
      told += 10;
      await Bun.sleep(2); // The pace of the load; nothing waits for it.
    }
  })();
  const oneMore = (): Promise<true> =>
    until(
      (
        (from) => () =>
          told >= from + 50
      )(told),
      DEADLINE_MS,
      "the load goes on",
    );
  for (const step of ["--add", "--switch", "--drop"]) {
    await keygen(sides[0], step);
    copyKey(...sides);
    for (const side of sides.toReversed()) {
      await rekey(side);
      await oneMore(); // While only one has taken the step, and between the steps.
    }
    const bothHeard = async () =>
      (await Promise.all(sides.map(statusOf))).every((status) => sealOf(status).peerKey === sealOf(status).key);
    await until(bothHeard, DEADLINE_MS, "each has heard the other's key");
  }
  loading = false;
  await load;
  await replicated(sides[1], sides[0]);
  const now = await ids();
  expect(now).toMatchObject({ ready: true, peerSession: session, accepted: [now.key] });
  expect(now.key).not.toBe(old);
  for (const side of sides) {
    expect(await refusals(side)).toEqual({});
    expect((await statusOf(side)).peer).toMatchObject({ state: "connected", resent: 0, lost: 0 });
  }
});

test("a daemon killed at each step of a change joins again with the file it has then", async () => {
  const daemons: [Daemon, Daemon] = await startPair(sides);
  let told = 0;
  for (const step of ["--add", "--switch", "--drop"]) {
    await keygen(sides[0], step);
    for (const i of [0, 1] as const) {
      // Killed between the new file and rekey: the one has the step behind it, the other not.
      if (i === 1) copyKey(...sides);
      await kill(daemons[i]);
      insert(sides[1], flows.slice(told, told + 100));
      told += 100;
      daemons[i] = await start(sides[i]);
      await replicated(sides[1], sides[0]);
    }
  }
  for (const side of sides) expect(sealOf(await statusOf(side))).toMatchObject({ ready: true });
});

test("the sessions go on when a link is opened anew", async () => {
  const [daemon] = await startPair(sides);
  const session = sealOf(await statusOf(sides[1])).peerSession;
  await sides[0].namespace.ip("link set dev sync mtu 1400");
  await daemon.process.waitForLine(/sealed with key [0-9a-f]{8}, MTU 1400$/, DEADLINE_MS);
  insert(sides[0], flows);
  insert(sides[1], [flowOf({ l4proto: 17, source: 79 })]);
  await replicated(sides[0], sides[1]);
  await replicated(sides[1], sides[0]);
  expect(sealOf(await statusOf(sides[1])).peerSession).toBe(session);
  for (const side of sides) expect(await refusals(side)).toEqual({});
});

test("a daemon that can send nothing sleeps: while its peer does not answer, and while its interface is gone", async () => {
  const daemon = await start(sides[0]);
  const turnsPerSecond = async (): Promise<number> => {
    const from = await statusOf(sides[0]);
    const later = async () => {
      const status = await statusOf(sides[0]);
      return status.uptimeSeconds > from.uptimeSeconds + 1 && status;
    };
    const to = await until(later, DEADLINE_MS, "two seconds of the daemon's have passed", 400);
    return (to.loop.turns - from.loop.turns) / (to.uptimeSeconds - from.uptimeSeconds);
  };
  insert(sides[0], flows.slice(0, 10));
  expect(await turnsPerSecond()).toBeLessThan(2_000); // One that spins has far more than 20,000.
  await sides[0].namespace.ip("link delete dev sync");
  await daemon.process.waitForLine(/waiting for the interface/, DEADLINE_MS);
  expect(await turnsPerSecond()).toBeLessThan(2_000);
});

test("rekey refuses to drop the key that the peer still sends with, unless forced", async () => {
  await startPair(sides);
  const { key } = sealOf(await statusOf(sides[0]));
  await keygen(sides[0], "--force");
  await expect(rekey(sides[0])).rejects.toThrow(
    `10.0.9.2 still sends with key ${key}, which is not in the file: all it says would be refused. ` +
      "Let it take the new keys first (ctsync rekey there), or use --force",
  );
  expect(sealOf(await statusOf(sides[0])).accepted).toEqual([key]);
  await rekey(sides[0], "--force");
  await until(async () => (await refusals(sides[0])).wrongKey !== undefined, DEADLINE_MS, "the peer is refused");
});

test("rekey with something else than keys, or for an open link, is refused in a sentence", async () => {
  await configure(lab, sides[1], "open");
  await start(sides[0]);
  await start(sides[1]);
  const { key } = sealOf(await statusOf(sides[0]));
  expect(await ask(sides[0], "POST", "/v1/rekey", "{}")).toEqual({
    status: 400,
    text: '{"error":"keys is the text of a key file"}',
  });
  expect((await ask(sides[0], "POST", "/v1/rekey", '{"keys":"secret"}')).text).toContain(
    "the keys it was sent: line 1: this is no key",
  );
  expect(sealOf(await statusOf(sides[0])).accepted).toEqual([key]);
  await expect(rekey(sides[1])).rejects.toThrow("names no link.key_file");
  await configure(lab, sides[1], "sealed");
  await expect(rekey(sides[1])).rejects.toThrow("this daemon's link has no key: set link.key_file and restart ctsync");
});

test("a daemon does not start with a key that others may read, or without its key", async () => {
  const ended = async (): Promise<string> => {
    const daemon = sides[0].namespace.spawn([CTSYNC, "daemon", "--config", sides[0].config]);
    expect(await daemon.exited).toBe(1);
    return daemon.output;
  };
  chmodSync(keyFileOf(sides[0]), 0o644);
  expect(await ended()).toContain(
    `link[0].key_file: ${keyFileOf(sides[0])}: others than its owner may use it (mode 0644), so it is no secret`,
  );
  rmSync(keyFileOf(sides[0]));
  expect(await ended()).toContain("there is no such file. Make it on one firewall with: ctsync keygen");
});

test("the socket over which keys come refuses another user", async () => {
  await startPair(sides);
  const as = ["setpriv", "--reuid=64123", "--regid=64123", "--clear-groups"];
  const command = [CTSYNC, "status", "--socket", sides[0].socket];
  await sides[0].namespace.run(["chmod", "711", lab.directory]);
  const { status, stderr } = await sides[0].namespace.exec([...as, ...command]);
  expect(status).toBe(1);
  expect(stderr).toContain("permission");
});
