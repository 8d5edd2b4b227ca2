/** The status report as one screen: a subject a line, aligned, in units people use; counters only where they counted. */
import type {
  AuditReport,
  Counters,
  LastCommitReport,
  LinkReport,
  LongestPauseReport,
  PeerReport,
  RecorderReport,
  Refusal,
  StatusReport,
} from "../../report.ts";
import type { ApplyReport } from "../../report-apply.ts";
import type { GateReport, TakenOnReport } from "../../report-roles.ts";
import { grouped } from "./terminal.ts";
import { bytesText, durationText } from "./units.ts";

type Row = readonly [subject: string, text: string];

export function statusScreen(status: StatusReport): string {
  const { link, kernel, loop } = status;
  const rows: Row[] = [
    ["ctsync", `${status.version}, pid ${status.pid}, up ${durationText(status.uptimeSeconds * 1000)}`],
    ["role", roleText(status)],
    ...roleRows(status),
    ...missingRows(status.lastCommit),
    ["ready", `${status.ready ? "yes" : "no"}: ${status.readyReason}`],
    ["internal", `${grouped(status.internal)} of at most ${grouped(status.flowsMax)} flows`],
    ["external", `${grouped(status.external)} of at most ${grouped(status.flowsMax)} flows`],
    ["expected", expectationsText(status)],
    ["peer", `${status.peer.address} ${peerStateText(status.peer)}, ${heardText(status.peer)}`],
    ["", queueText(status.peer)],
    ...standingText(status.peer).map((text): Row => ["", text]),
    [
      "link",
      `${link.interface} ${link.up ? "up" : "DOWN"}, ${link.local} to ${link.peer}, UDP port ${link.port}, MTU ${link.mtuBytes}`,
    ],
    ["", sealText(link)],
    [
      "kernel",
      `${grouped(kernel.events)} events, ${grouped(kernel.overruns)} overruns, buffer ${bytesText(kernel.bufferBytes)}`,
    ],
  ];
  for (const text of applyTexts(status.apply)) rows.push(["", text]);
  if (kernel.suspect) rows.push(["", "events were lost: the internal cache is being compared with the kernel"]);
  if (status.audit !== null) rows.push(["", auditText(status.audit)]);
  rows.push([
    "loop",
    `paused for ${loop.recentPauseMs.toFixed(1)} ms at most lately, ${loop.longestPauseMs.toFixed(1)} ms ever`,
  ]);
  if (loop.longest !== null) rows.push(["", longestPauseText(loop.longest)]);
  if (status.recorder.path !== "") rows.push(["recorder", recorderText(status.recorder)]);
  const requests = countedText(status.requests);
  if (requests !== "") rows.push(["requests", requests]);
  return [...aligned(rows), ...countersText(status.counters)].join("\n");
}

/** Whether the longest pause was work, or a wait for something, or for a processor. */
export function longestPauseText({
  secondsAgo,
  part,
  partMs,
  cpuMs,
  waits,
  preemptions,
  diskFaults,
}: LongestPauseReport): string {
  const disk = diskFaults > 0 ? `, read ${grouped(diskFaults)} pages from disk` : "";
  return (
    `that was ${grouped(secondsAgo)} s ago: ${partMs.toFixed(1)} ms in ${part}, ${cpuMs.toFixed(1)} ms on a processor, ` +
    `waited ${grouped(waits)} times, was preempted ${grouped(preemptions)} times${disk}`
  );
}

/** What is out of order about the role, and the gate where there is one. */
function roleRows({ splitBrain, takenOn, keepalived, gate }: StatusReport): Row[] {
  const rows: Row[] = [];
  if (splitBrain !== null)
    rows.push(["SPLIT", `BRAIN: the peer has been master too for ${durationText(splitBrain.seconds * 1000)}`]);
  if (takenOn !== null && takenOn.flows + takenOn.failed > 0) rows.push(["", takenOnText(takenOn)]);
  if (keepalived.doubt !== null) rows.push(["", `DOUBTFUL: ${keepalived.doubt}`]);
  if (keepalived.fifo === false) rows.push(["", "keepalived's notify_fifo is not there"]);
  if (keepalived.fifo && !keepalived.fifoHasWriter) rows.push(["", "nobody writes to keepalived's notify_fifo"]);
  if (gate.obstacle !== null) rows.push(["gate", `off: ${gate.obstacle}`]);
  else if (gate.state !== "off") rows.push(["gate", gateText(gate)]);
  if (gate.obstacle === null && gate.blind !== null) rows.push(["", `no flow is committed first: ${gate.blind}`]);
  return rows;
}

function gateText({ state, held, unanswered }: GateReport): string {
  const resets = unanswered === 0 ? "" : `, ${grouped(unanswered)} left unanswered`;
  return `${state}, ${grouped(held)} packets dropped${resets}`;
}

function takenOnText({ flows, failed, failures, secondsAgo }: TakenOnReport): string {
  const refused =
    failed === 0 ? "" : `, ${grouped(failed)} refused (${failures.map(({ reason }) => reason).join("; ")})`;
  return `two were primary: ${grouped(flows)} flows of the other one taken on ${durationText(secondsAgo * 1000)} ago${refused}`;
}

function roleText({ role, lastRoleChange }: StatusReport): string {
  if (lastRoleChange === null) return `${role}: keepalived has said nothing since the start`;
  const { ok, secondsAgo, milliseconds } = lastRoleChange;
  const outcome = ok ? `took ${milliseconds.toFixed(0)} ms` : "FAILED in part, see the log";
  return `${role}, for ${durationText(secondsAgo * 1000)} (the change ${outcome})`;
}

const expectationsText = ({ expectations: { internal, external, max } }: StatusReport): string =>
  `${grouped(internal)} expectations internal, ${grouped(external)} external, of at most ${grouped(max)} each`;

/** What this kernel lacks of what the last commit had to write, a reason a line. */
function missingRows(commit: LastCommitReport | null): Row[] {
  if (commit === null) return [];
  const ago = `${durationText(commit.secondsAgo * 1000)} ago`;
  const total = grouped(commit.committed + commit.updated + commit.failed);
  const refused = commit.failures.map(
    ({ count, errno, reason }) => `${grouped(count)} of ${total} flows refused ${ago}: ${reason} (${errno})`,
  );
  const lessened = commit.lessened.map(
    ({ count, without }) => `${grouped(count)} of ${total} flows taken without ${without} ${ago}`,
  );
  const expectations = commit.expectations.failures.map(
    ({ count, errno, reason }) => `${grouped(count)} expectations refused ${ago}: ${reason} (${errno})`,
  );
  return [...refused, ...lessened, ...expectations].map((text, i): Row => [i === 0 ? "commit" : "", text]);
}

const peerStateText = ({ state, role }: PeerReport): string => (role === null ? state : `${state}, its role ${role}`);

function recorderText({ path, written, lost, error }: RecorderReport): string {
  const dropped = lost === 0 ? "" : `, ${grouped(lost)} LOST`;
  return `${error === null ? path : `CANNOT WRITE ${error}`}, ${grouped(written)} records${dropped}`;
}

const heardText = ({ lastHeardMs }: PeerReport): string =>
  lastHeardMs === null ? "never heard" : `last heard ${durationText(lastHeardMs)} ago`;

function sealText({ seal }: LinkReport): string {
  if (seal === null) return "OPEN: it has no key, so whoever can send on it can add flows (see ctsync keygen)";
  const { key, accepted, peerKey, peerSession, ready } = seal;
  const others = accepted.filter((id) => id !== key);
  const parts = [`sealed with key ${key}`];
  if (others.length > 0) parts.push(`accepts ${others.join(" and ")} too`);
  if (peerKey !== null && peerKey !== key) parts.push(`the peer uses ${peerKey}`);
  parts.push(peerSession === null ? "no session of the peer yet" : `session ${peerSession} of the peer`);
  if (peerSession !== null && !ready) parts.push("which has not greeted back yet");
  return parts.join(", ");
}

const queueText = (peer: PeerReport): string =>
  `${grouped(peer.unacknowledged)} unacknowledged, ${grouped(peer.queued)} queued, ` +
  `${grouped(peer.resent)} resent, ${grouped(peer.lost)} lost`;

/** How far the kernel follows the external cache; nothing where it waits for a commit. */
function applyTexts(apply: ApplyReport): string[] {
  if (!apply.active) return [];
  const { waiting, withdrawing, oldestMs, standing, failing } = apply;
  const waits = waiting + withdrawing === 0 ? "none waits" : `${grouped(waiting + withdrawing)} wait`;
  const since = waiting === 0 ? "" : `, the oldest for ${durationText(oldestMs)}`;
  const texts = [`has ${grouped(standing)} flows of the peer, ${waits}${since}`];
  if (failing > 0) texts.push(`refuses ${grouped(failing)} flows of the peer: ${refusalsText(apply.refusals)}`);
  const { expectations } = apply;
  if (expectations.standing > 0) texts.push(`has ${grouped(expectations.standing)} expectations of the peer`);
  if (expectations.failing > 0)
    texts.push(`refuses ${grouped(expectations.failing)} expectations: ${refusalsText(expectations.refusals)}`);
  return texts;
}

const refusalsText = (refusals: readonly Refusal[]): string =>
  refusals.length === 0
    ? "their masters are not there"
    : refusals.map(({ errno, reason, count }) => `${errno}, ${reason} (${grouped(count)} times)`).join("; ");

/** What is to be said of how far the peer has all: nothing, when it is not behind and cannot prove it. */
function standingText({ lagMs, dirty, proof, bulk }: PeerReport): string[] {
  const lines: string[] = [];
  if (bulk !== null && !bulk.arrived)
    lines.push(
      `its bulk: ${grouped(bulk.sent)} of ${grouped(bulk.total)} flows sent${bulk.sending ? "" : ", arriving"}`,
    );
  if (lagMs > 0) lines.push(`behind by ${durationText(lagMs)}`);
  if (dirty !== null) lines.push(`dirty: ${dirty}`);
  if (proof !== null)
    lines.push(
      `proven equal over ${grouped(proof.flows)} flows${alsoText(proof.expectations)} ${durationText(proof.secondsAgo * 1000)} ago${leftText(proof.leftovers)}`,
    );
  return lines;
}

const alsoText = (expectations: number): string =>
  expectations === 0 ? "" : ` and ${grouped(expectations)} expectations`;

const leftText = (leftovers: number): string =>
  leftovers === 0 ? "" : `, beside ${grouped(leftovers)} that this node told before it started anew`;

function auditText({ secondsAgo, milliseconds, missing, changed, dead, timers, ...more }: AuditReport): string {
  const expectations = more.expectationsMended;
  const found = countedText({ missing, changed, dead, timers, expectations }, countFirst);
  const when = `${durationText(secondsAgo * 1000)} ago, in ${durationText(milliseconds)}`;
  return `compared with the internal cache ${when}: ${found === "" ? "equal" : found}`;
}

const nameFirst = (name: string, count: number): string => `${name} ${grouped(count)}`;
const countFirst = (name: string, count: number): string => `${grouped(count)} ${name}`;

/** `name 3, other 1`: those that are not 0. */
const countedText = (counts: Readonly<Record<string, number>>, text = nameFirst): string =>
  Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => text(name, count))
    .join(", ");

function countersText(counters: Counters): string[] {
  const rows = Object.entries(counters)
    .map(([subject, counts]): Row => [`  ${subject}`, countedText(counts)])
    .filter(([, text]) => text !== "");
  return rows.length === 0 ? [] : ["", "counters", ...aligned(rows)];
}

function aligned(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([subject]) => subject.length));
  return rows.map(([subject, text]) => `${subject.padEnd(width)}  ${text}`);
}
