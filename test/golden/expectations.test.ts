/** The recording played into a replica: its external cache of expectations prints as its `conntrackd -e expect` did. */
import { expect, test } from "bun:test";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import { ageOf, withoutAge } from "./lines.ts";
import { readLines, readMeta } from "./recording.ts";
import { beginLife, happenings, type Life } from "./replay.ts";

const RECORDING = "04-ftfw-udp-expect";

test("expectations print as conntrackd printed them", () => {
  const all = happenings(RECORDING, "f2");
  let life: Life | undefined;
  let compared = 0;
  for (const [i, happening] of all.entries()) {
    const { timeMs } = happening;
    if (happening.kind === "message") {
      if (!happening.sent) life?.receive(happening.message.view, timeMs);
      life?.transmit(timeMs);
      continue;
    }
    const { what, tag } = happening.event;
    if (what === "start") life = beginLife(readMeta(RECORDING), all, i);
    if (what !== "dump" || life === undefined) continue;
    const printed = readLines(RECORDING, `f2-external-expect${tag === "final" ? "" : `-${tag}`}.txt`).sort();
    const ours = expectationLines(life, timeMs);
    expect(ours.map(withoutAge)).toEqual(printed.map(withoutAge));
    for (const [at, line] of ours.entries()) expect(Math.abs(ageOf(line) - ageOf(printed[at]))).toBeLessThanOrEqual(1);
    expect(printed).toHaveLength(3);
    compared++;
  }
  expect(compared).toBe(2);
  expect(life?.replica.counters.wire).toMatchObject({ expectationsReceived: 12, badPayload: 0, incomplete: 0 });
  expect(life?.replica.counters.cache).toMatchObject({ expectationsUnknown: 0, expectationsFull: 0 });
});

function expectationLines({ replica }: Life, nowMs: number): string[] {
  const { external } = replica.expectations;
  const lines: string[] = [];
  for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1))
    lines.push(expectationLine(external.read(slot, nowMs), external.ageSeconds(slot, nowMs)));
  return lines.sort();
}
