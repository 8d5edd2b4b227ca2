/**
 * The recordings played into a replica in the place of one node: at every moment at which that node's conntrackd printed its
 * external cache, ours must be the same.
 */
import { describe, expect, test } from "bun:test";
import { ageOf, withMark, withoutAge } from "./lines.ts";
import { type Node, type RecordedEvent, readLines, readMeta } from "./recording.ts";
import { beginLife, happenings, type Life, RECEIVERS } from "./replay.ts";

/** The dumps of 08 from here on show that ALARM let entries expire, which is that mode's doing, not the cache's. */
const FIRST_EXPIRY = "3-all-expired";

describe.each(RECEIVERS)("%s as %s", (name: string, node: Node, dumps: number) => {
  test("the external cache is conntrackd's at every dump", () => {
    const meta = readMeta(name);
    const all = happenings(name, node);
    let life: Life | undefined;
    let compared = 0;
    for (const [i, happening] of all.entries()) {
      const { timeMs } = happening;
      if (happening.kind === "message") {
        if (!happening.sent) life?.receive(happening.message.view, timeMs);
        life?.transmit(timeMs);
        continue;
      }
      const { event } = happening;
      if (event.tag === FIRST_EXPIRY) break;
      if (event.what === "start") life = beginLife(meta, all, i);
      if (event.what === "stop" || event.what === "kill") life = undefined;
      if (event.args === "-f" || event.args === "-f external") life?.replica.flushExternal();
      if (life === undefined || event.what !== "dump" || event.tag === "commit") continue;
      compared++;
      compare(life.externalLines(timeMs), printed(name, node, event));
    }
    expect(compared).toBe(dumps);
  });
});

const printed = (name: string, node: Node, event: RecordedEvent): string[] =>
  readLines(name, event.tag === "final" ? `${node}-external.txt` : `${node}-external-${event.tag}.txt`).sort();

/** conntrackd printed some moments after the recorded time of the dump: a second may have passed. */
function compare(ours: readonly string[], theirs: readonly string[]): void {
  expect(ours.map(withoutAge)).toEqual(theirs.map((line) => withoutAge(withMark(line))));
  for (const [i, line] of ours.entries()) expect(Math.abs(ageOf(theirs[i]) - ageOf(line))).toBeLessThanOrEqual(1);
}
