/** The expectations a node received, kept as its conntrackd keeps them, must print as its `conntrackd -e expect` did. */
import { expect, test } from "bun:test";
import { decodeExpectation, type Expectation, expectationLine } from "../../src/wire/expectation.ts";
import { CT_DESTROY, EXP_DESTROY, headerType } from "../../src/wire/header.ts";
import { ageOf, withoutAge } from "./lines.ts";
import { readLines } from "./recording.ts";
import { happenings } from "./replay.ts";

const RECORDING = "04-ftfw-udp-expect";

test("expectations print as conntrackd printed them", () => {
  const known = new Map<string, { expectation: Expectation; sinceMs: number }>();
  let compared = 0;
  for (const happening of happenings(RECORDING, "f2")) {
    if (happening.kind === "message") {
      if (!happening.sent) learn(happening.message.view, happening.timeMs, known);
      continue;
    }
    const { what, tag } = happening.event;
    if (what !== "dump") continue;
    const printed = readLines(RECORDING, `f2-external-expect${tag === "final" ? "" : `-${tag}`}.txt`).sort();
    const ours = [...known.values()].map(({ expectation, sinceMs }) =>
      expectationLine(expectation, Math.floor(happening.timeMs / 1000) - Math.floor(sinceMs / 1000)),
    );
    expect(ours.sort().map(withoutAge)).toEqual(printed.map(withoutAge));
    for (const [i, line] of ours.entries()) expect(Math.abs(ageOf(line) - ageOf(printed[i]))).toBeLessThanOrEqual(1);
    expect(printed).toHaveLength(3);
    compared++;
  }
  expect(compared).toBe(2);
});

function learn(view: DataView, nowMs: number, known: Map<string, { expectation: Expectation; sinceMs: number }>): void {
  const type = headerType(view, 0);
  if (type <= CT_DESTROY || type > EXP_DESTROY) return;
  const expectation = decodeExpectation(view, 0, view.byteLength);
  if (typeof expectation === "string") throw new Error(expectation);
  const key = JSON.stringify({ ...expectation, timeoutSeconds: 0 });
  if (type === EXP_DESTROY) known.delete(key);
  else known.set(key, { expectation, sinceMs: known.get(key)?.sinceMs ?? nowMs });
}
