/** A failover as lines of text: what it came to, then moment by moment. */
import { flows, grouped, milliseconds } from "./sentence.ts";
import { timeOfDay } from "./time-of-day.ts";
import type { Failover } from "./timeline.ts";

export function failoverText(failover: Failover): string {
  const column = failover.moments.map(({ atMs }) => `${atMs > 0 ? "+" : ""}${milliseconds(atMs)}`);
  const width = Math.max(...column.map((text) => text.length));
  const moments = failover.moments.map(({ text }, i) => `  ${column[i].padStart(width)}  ${text}`);
  return [title(failover), ...summaryLines(failover), "", ...moments].join("\n");
}

export function title({ from, to, wallMs }: Failover): string {
  const what = to === "master" ? "takeover" : "step-down";
  return `${what}: ${from} to ${to} at ${timeOfDay(wallMs)}`;
}

export function summaryLines({ to, summary }: Failover): string[] {
  const lines: string[] = [];
  const { silentMs, commitMs, created, updated, refused, firstPacketMs, firstPacketAfterCommitMs, doneMs } = summary;
  if (to === "master" && silentMs !== null) lines.push(`the peer had been silent for ${milliseconds(silentMs)}`);
  if (commitMs !== null) {
    lines.push(
      `${flows(created)} created and ${grouped(updated)} updated in ${milliseconds(commitMs)}, ${grouped(refused)} refused`,
    );
  }
  for (const { why, flows: count } of summary.refusals) lines.push(`${flows(count)} refused, ${why}`);
  for (const { why, flows: count } of summary.lessened) lines.push(`${flows(count)} committed ${why}`);
  const packet = firstPacketAfterCommitMs ?? firstPacketMs;
  if (packet !== null) lines.push(`first packet to forward ${milliseconds(packet)} after keepalived's word`);
  if (summary.splitBrain) lines.push("both firewalls were primary");
  if (doneMs === null) lines.push("not done when the record ends");
  else lines.push(`${summary.ok === true ? "all steps done" : "FAILED in part"} after ${milliseconds(doneMs)}`);
  return lines;
}
