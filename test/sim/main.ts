/**
 * `npm run sim`: seed after seed, without end. Each runs twice and must send the same both times.
 *
 *   npm run sim                         from a seed of chance on
 *   npm run sim -- --from 1 --to 2000   these seeds; exit status 1 if one fails
 *   CTSYNC_SEED=8 npm run sim           one seed, with the stack of what it broke
 */
import { parseArgs } from "node:util";
import { loadCode, ROOT } from "./code.ts";
import { type Outcome, runSeed } from "./scenario.ts";

const TELL_MS = 5_000;

const { values } = parseArgs({ options: { from: { type: "string" }, to: { type: "string" } } });
const only = process.env.CTSYNC_SEED;
const from = Number(only ?? values.from ?? 1 + Math.floor(Math.random() * 2 ** 31));
const to = Number(only ?? values.to ?? Number.POSITIVE_INFINITY);
if (!Number.isSafeInteger(from) || Number.isNaN(to)) {
  console.error("sim: a seed is a whole number");
  process.exit(2);
}

const code = await loadCode(ROOT);
const startMs = performance.now();
let failed = 0;
let slowestMs = 0;
let slowestSeed = from;
let longestMs = 0;
let toldMs = startMs;

for (let seed = from; seed <= to; seed++) {
  const beganMs = performance.now();
  const outcome = twice(seed);
  const nowMs = performance.now();
  if (outcome !== undefined) longestMs = Math.max(longestMs, outcome.convergedMs);
  if (nowMs - beganMs > slowestMs) {
    slowestMs = nowMs - beganMs;
    slowestSeed = seed;
  }
  if (only === undefined && (nowMs - toldMs >= TELL_MS || seed === to)) {
    toldMs = nowMs;
    tell(seed, (nowMs - startMs) / 1_000);
  }
}
process.exit(failed === 0 ? 0 : 1);

function twice(seed: number): Outcome | undefined {
  try {
    const outcome = runSeed(seed, code);
    const again = runSeed(seed, code);
    if (outcome.trace !== again.trace) throw new Error("sent something else when it ran again");
    if (only !== undefined) console.log(`seed ${seed}: trace ${outcome.trace}, equal after ${outcome.convergedMs} ms`);
    return outcome;
  } catch (error) {
    failed++;
    const what = error instanceof Error ? error : new Error(String(error));
    console.log(`seed ${seed}: ${only === undefined ? what.message : what.stack}`);
    console.log(`  replay: CTSYNC_SEED=${seed} npm run sim`);
    return undefined;
  }
}

function tell(seed: number, seconds: number): void {
  const count = seed - from + 1;
  console.log(
    `${count} seeds up to ${seed}, ${failed} failed, ${(count / seconds).toFixed(0)} a second; ` +
      `slowest ${slowestSeed}: ${slowestMs.toFixed(0)} ms; all equal at most ${longestMs} ms of virtual time after the last packet`,
  );
}
