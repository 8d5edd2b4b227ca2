/** What both acts share: the two firewalls set up, and a session from A to B that is used until its end. */
import { conntrackTable } from "../lab/conntrack.ts";
import { Lab } from "../lab/lab.ts";
import type { LineSession } from "../lab/line-session.ts";
import type { Namespace } from "../lab/namespace.ts";
import { SshServer } from "../lab/ssh.ts";
import { A, B, buildTwoFirewalls, type TwoFirewalls } from "../lab/two-firewalls.ts";
import type { Timeline } from "./timeline.ts";

/** ssh gives a silent server up after so long. */
export const GIVE_UP_SECONDS = 6;
const ANSWER_DEADLINE_MS = 10_000;
const WARM_UP_MS = 1_000;

/** A flow as any of the tools prints it: A's SSH connection, seen in its original direction. */
const isSshFlow = (line: string): boolean =>
  line.includes(`src=${A.ipv4} dst=${B.ipv4}`) && / dport=22 /.test(line) && line.includes("ESTABLISHED");

export const sshFlows = (lines: readonly string[]): string[] => lines.filter(isSshFlow);

export const kernelFlows = async (firewall: Namespace): Promise<string[]> => sshFlows(await conntrackTable(firewall));

export interface Stage extends TwoFirewalls, AsyncDisposable {
  readonly lab: Lab;
  readonly server: SshServer;
}

export async function setStage(timeline: Timeline): Promise<Stage> {
  const lab = await Lab.create();
  try {
    const firewalls = await buildTwoFirewalls(lab);
    timeline.say(
      "A, B, FW1 and FW2 are up, each in a network namespace of its own; both firewalls have the same rules",
    );
    const server = await SshServer.start(firewalls.b);
    timeline.say("sshd listens on B");
    return { lab, server, ...firewalls, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens the session and uses it for a moment. */
export async function openSession(timeline: Timeline, stage: Stage): Promise<LineSession> {
  const session = await stage.server.open(stage.a, B.ipv4, GIVE_UP_SECONDS);
  timeline.say("A opens an SSH session to B: it types a line every 100 ms, a program on B answers each");
  const startMs = performance.now();
  while (performance.now() - startMs < WARM_UP_MS) await session.nextAnswer(ANSWER_DEADLINE_MS);
  timeline.say(
    `${session.answered.length} lines typed and answered, never more than ${gapSince(session, startMs)} apart`,
  );
  return session;
}

export const gapSince = (session: LineSession, sinceMs: number): string =>
  `${session.longestGapMs(sinceMs).toFixed(0)} ms`;

/** Whether a step of the story went as told; if not, says why. */
export async function succeeds(timeline: Timeline, step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    timeline.say(error instanceof Error ? error.message : String(error));
    return false;
  }
}
