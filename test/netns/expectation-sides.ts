/** FTP sessions that expect connections, in the kernel of one of two machines and in the caches of both. */
import { expect } from "bun:test";
import type { Expectation } from "../../src/flow/expectation.ts";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import * as f from "../../src/flow/flow.ts";
import { ExpectationChanges } from "../../src/kernel/expectation-changes.ts";
import { ExpectationCommit } from "../../src/kernel/expectation-commit.ts";
import { ExpectationDump } from "../../src/kernel/expectation-dump.ts";
import { inside } from "../lab/enter.ts";
import { makeExpectation } from "../make-expectation.ts";
import { makeFlow } from "../make-flow.ts";
import { ask, type Side } from "./daemon-pair.ts";
import { unwrap } from "./kernel-table.ts";

/** FTP sessions with their helper, which lets each have one expectation. */
const SESSIONS = [40_000, 40_001, 40_002].map((port) => f.portsWord(port, 21));
export const masters = SESSIONS.map((ports) => {
  const master = makeFlow({ ports });
  master.words[f.HAS] |= f.HAS_HELPER;
  f.setHelperName(master.words, "ftp");
  return master;
});
export const expected = (session: number, port: number, timeoutSeconds = 300): Expectation => {
  const { master, ...rest } = makeExpectation(port, { timeoutSeconds });
  return { ...rest, master: { ...master, ports: SESSIONS[session]! } };
};

export function expectIn(side: Side, ...expectations: readonly Expectation[]): void {
  const commit = inside(side.namespace, () => unwrap(ExpectationCommit.open()));
  for (const [i, expectation] of expectations.entries()) commit.add(expectation, i);
  const refused = commit.flush();
  commit.close();
  expect(refused).toBe(0);
}

/** Ends them as if their time were over: behind the daemon's back. */
export function unexpectIn(side: Side, ...expectations: readonly Expectation[]): void {
  const changes = inside(side.namespace, () => unwrap(ExpectationChanges.open()));
  for (const [i, expectation] of expectations.entries()) changes.delete(expectation, i);
  const refused = changes.flush();
  changes.close();
  expect(refused).toBe(0);
}

/** The times that are left, by port. */
export const timesLeft = (side: Side): Map<number, number> =>
  new Map(dumped(side).map(({ expected, timeoutSeconds }) => [expected.ports & 0xffff, timeoutSeconds ?? 0]));

const line = (expectation: Expectation): string => expectationLine(expectation, 0).replace(/ \[active since 0s\]$/, "");

function dumped(side: Side): Expectation[] {
  const dump = inside(side.namespace, () => unwrap(ExpectationDump.start()));
  const all: Expectation[] = [];
  while (!dump.done) all.push(...unwrap(dump.next()));
  dump.close();
  return all;
}

export const kernelExpectations = (side: Side): string[] => dumped(side).map(line).sort();

export async function held(side: Side, cache: "internal" | "external"): Promise<string[]> {
  const { status, text: said } = await ask(side, "GET", `/v1/dump?cache=${cache}&of=expectations&format=text`);
  expect(status).toBe(200);
  const lines = said.split("\n").filter(Boolean);
  return lines.map((text) => text.replace(/ \[active since \d+s\]$/, "")).sort();
}
