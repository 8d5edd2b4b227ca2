/** What the clients report, counted by kind. */
import { OTHERS, type Other, type Survival } from "./observation.ts";
import type { ConnectionReport } from "./traffic-protocol.ts";

const LATE_MS = 5;

/** Of what is no client's: whether each went on. */
export interface Sessions {
  readonly ssh: boolean;
  readonly echo: boolean;
}

export const survivalOf = (reports: readonly ConnectionReport[]): Survival => ({
  connections: reports.length,
  survivors: reports.filter(({ survived }) => survived).length,
});

export function othersOf(reports: readonly ConnectionReport[], sessions: Sessions): Record<Other, Survival> {
  const one = (survived: boolean): Survival => ({ connections: 1, survivors: survived ? 1 : 0 });
  const of = (other: Other): Survival =>
    other === "ssh" || other === "echo"
      ? one(sessions[other])
      : survivalOf(reports.filter(({ kind }) => kind === other));
  return Object.fromEntries(OTHERS.map((other) => [other, of(other)])) as Record<Other, Survival>;
}

/**
 * Those that stood in the last few milliseconds before the firewall died: as new ones were opened all the time, the last one
 * that came through it tells when that was. Those that came through the new primary are none of them.
 */
export function openedLast(reports: readonly ConnectionReport[], masterMs: number): ConnectionReport[] {
  const late = reports.filter(({ kind, openedMs }) => kind === "late" && openedMs > 0 && openedMs < masterMs);
  const lastMs = Math.max(...late.map(({ openedMs }) => openedMs));
  return late.filter(({ openedMs }) => openedMs > lastMs - LATE_MS);
}
