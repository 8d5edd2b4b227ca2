/**
 * Expectations of which the kernel tells nobody: it raises no events for those of a master that is older than any listener.
 * The audit finds them, verify names them, and two nodes with a key prove and mend what they hold of them.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import type { VerifyReport } from "../../src/report-verify.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { ask, DEADLINE_MS, insert, replicated, type Side, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { expected, expectIn, held, kernelExpectations, masters } from "./expectation-sides.ts";
import { makeSealedSides } from "./sealed-pair.ts";

setDefaultTimeout(60_000);

let lab: Lab;

beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Waits until both caches have what the kernel has. */
async function mended([left, right]: Sides, what: string): Promise<void> {
  const isMended = async () => {
    const wanted = kernelExpectations(left);
    return (
      Bun.deepEquals(await held(left, "internal"), wanted) && Bun.deepEquals(await held(right, "external"), wanted)
    );
  };
  await until(isMended, DEADLINE_MS, what);
}

/** Of their expectations the kernel will say nothing. */
async function insertUnheard(side: Side): Promise<void> {
  await side.namespace.sysctl({ "net.netfilter.nf_conntrack_events": 0 });
  insert(side, masters);
  await side.namespace.sysctl({ "net.netfilter.nf_conntrack_events": 1 });
}

const auditOf = async (side: Side) => (await statusOf(side)).counters.audit!;

async function passOver(side: Side): Promise<void> {
  const { passes } = await auditOf(side);
  await until(async () => (await auditOf(side)).passes! > passes! + 1, DEADLINE_MS, "the end of a pass");
}

test("the audit finds expectations that begin and end in silence; one that runs out is no alarm", async () => {
  const sides = await makeSealedSides(lab, { sync: { audit_seconds: 1 } });
  await insertUnheard(sides[0]);
  const [daemon] = await startPair(sides);
  await replicated(sides[0], sides[1]);

  expectIn(sides[0], expected(0, 2_001), expected(1, 2_002));
  await mended(sides, "both were found, and told");
  await passOver(sides[0]);
  const found = { expectationsMissing: 2, expectationsChanged: 0, expectationsDead: 0 };
  expect(await auditOf(sides[0])).toMatchObject(found);

  expectIn(sides[0], expected(0, 2_003)); // It takes the place of the session's first one.
  await mended(sides, "the new one was found, and the end of the old one");
  await passOver(sides[0]);
  const replaced = { expectationsMissing: 3, expectationsChanged: 0, expectationsDead: 1 };
  expect(await auditOf(sides[0])).toMatchObject(replaced);

  const { expectationTimers } = await auditOf(sides[0]);
  expectIn(sides[0], expected(1, 2_002, 6));
  const isTaken = async () => (await auditOf(sides[0])).expectationTimers! > expectationTimers!;
  await until(isTaken, DEADLINE_MS, "the audit takes the kernel's time");
  await until(() => kernelExpectations(sides[0]).length === 1, DEADLINE_MS, "the kernel let one run out");
  await mended(sides, "what ran out is gone from both caches");
  await passOver(sides[0]);
  expect(await auditOf(sides[0])).toMatchObject(replaced);
  expect((await statusOf(sides[0])).audit).toMatchObject({ expectations: 1, expectationsMended: 0 });
  expect((await statusOf(sides[0])).counters.kernel).toMatchObject({ expectationEvents: 0 });
  expect(daemon.process.output).toContain("audit: of the expectations in the kernel 2 were missing");
});

test("verify names expectations that the kernel or the internal cache lacks, and changes nothing", async () => {
  const sides = await makeSealedSides(lab, { sync: { audit_seconds: 0 } });
  await insertUnheard(sides[0]);
  expectIn(sides[0], expected(0, 2_001), expected(1, 2_002));
  const [daemon] = await startPair(sides);
  await replicated(sides[0], sides[1]);
  await mended(sides, "the start reads them");
  const said = (await daemon.command("verify")).stdout.split("\n").filter(Boolean);
  expect(said).toEqual([
    "in sync: 3 flows and 2 expectations, the same in the kernel and in the internal cache",
    "in sync: 3 flows and 2 expectations, the same in the internal cache and at the peer 10.0.9.2",
  ]);

  expectIn(sides[0], expected(0, 2_003), expected(2, 2_004));
  for (let look = 0; look < 2; look++) {
    const { status, stdout } = await daemon.command("verify");
    expect(status).toBe(1);
    expect(stdout).toContain("differs: 2 expectations missing in the internal cache\n");
    expect(stdout).toContain("differs: 1 expectation in the internal cache, and no more in the kernel\n");
    for (const [what, port] of [
      ["missing", 2_003],
      ["missing", 2_004],
      ["dead   ", 2_001],
    ] as const)
      expect(stdout).toMatch(new RegExp(`^  ${what}  proto=6 .* dport=${port} mask-src=.* helper=ftp`, "m"));
  }
  const report = JSON.parse((await daemon.command("verify", "--json")).stdout) as VerifyReport;
  expect(report).toMatchObject({ inSync: false, missing: 0, expectations: { count: 2, missing: 2, dead: 1 } });
  await daemon.succeed("resync");
  await mended(sides, "the resync mends it");
  expect((await daemon.command("verify")).status).toBe(0);
});

test("what the peer lost of them comes back within seconds, and both prove it", async () => {
  const sides = await makeSealedSides(lab, { sync: { audit_seconds: 0 } });
  const [daemon] = await startPair(sides);
  insert(sides[0], masters); // The kernel tells of their expectations, since somebody listens.
  await replicated(sides[0], sides[1]);
  expectIn(sides[0], expected(0, 2_001), expected(1, 2_002), expected(2, 2_003));
  await mended(sides, "the peer holds what events told of");
  expect((await statusOf(sides[0])).counters.kernel!.expectationEvents).toBe(3);
  const before = (await statusOf(sides[0])).counters;

  expect((await ask(sides[1], "POST", "/v1/flush", JSON.stringify({ what: "external" }))).status).toBe(200);
  await mended(sides, "the peer holds them again");
  const after = (await statusOf(sides[0])).counters;
  expect(after.proof!.repaired! - before.proof!.repaired!).toBe(masters.length + 3);
  expect(after.wire!.expectationsSent! - before.wire!.expectationsSent!).toBe(3);
  expect(await daemon.succeed("verify")).toContain(
    "in sync: 3 flows and 3 expectations, the same in the internal cache and at the peer 10.0.9.2",
  );
});

test("after a change of roles what was committed is the new primary's alone, and left in no external cache there", async () => {
  const sides = await makeSealedSides(lab, { sync: { audit_seconds: 0 } });
  const [left, right] = sides;
  const daemons = await startPair(sides);
  insert(left, masters);
  await replicated(left, right);
  expectIn(left, expected(0, 2_001), expected(1, 2_002));
  await mended(sides, "the peer holds what events told of");
  const wanted = kernelExpectations(left);
  await daemons[0].succeed("notify", "BACKUP");
  await daemons[1].succeed("notify", "MASTER");
  expect(kernelExpectations(right)).toEqual(wanted);
  expect(kernelExpectations(left)).toEqual(wanted); // They stand there still, and are not announced any more.
  const isSettled = async () =>
    Bun.deepEquals(await Promise.all([held(right, "internal"), held(left, "external")]), [wanted, wanted]) &&
    Bun.deepEquals(await Promise.all([held(right, "external"), held(left, "internal")]), [[], []]);
  await until(isSettled, 2 * DEADLINE_MS, "the new primary announces them, and nobody else");
  for (const daemon of daemons) expect((await daemon.command("verify")).status).toBe(0);
  expect(await isSettled()).toBe(true);
});
