/**
 * `npm run fuzz`: fuzzes without end, an episode of each target in turn, until something fails or is interrupted.
 * docs/fuzzing.md says what is held to be true.
 */
import { parseArgs } from "node:util";
import { commandLineTarget } from "./command-line.ts";
import { ControlTarget } from "./control.ts";
import { ctnetlinkTarget } from "./ctnetlink.ts";
import { datagramTarget } from "./datagram.ts";
import { sealedTarget } from "./sealed.ts";
import { Failure, minimise, play, type Target } from "./target.ts";
import { tomlTarget } from "./toml.ts";

const USAGE = `npm run fuzz [-- OPTIONS]: changed copies of real input, until something gives way

  --only NAME      datagram, sealed, ctnetlink, toml, command-line or control; several with commas; all of them unless told
  --seed N         seed of the first episode; each later one has the next number. By chance unless told
  --episodes N     ends after so many episodes of each
  --seconds N      ends after so many seconds
  --help           this text
`;
const PROGRESS_MS = 5_000;
const MINIMISE_MS = 30_000;
const STEPS_SHOWN = 40;

const targets: readonly Target[] = [
  datagramTarget,
  sealedTarget,
  ctnetlinkTarget,
  tomlTarget,
  commandLineTarget,
  new ControlTarget(),
];

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new Error(`--${name} ${text}: a whole number is needed`);
  return Number(text);
}

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      seed: { type: "string" },
      episodes: { type: "string" },
      seconds: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const names = values.only?.split(",") ?? targets.map(({ name }) => name);
  const unknown = names.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) throw new Error(`--only ${unknown}: there are ${targets.map(({ name }) => name).join(", ")}`);
  return {
    help: values.help === true,
    chosen: targets.filter(({ name }) => names.includes(name)),
    seed: wholeNumber("seed", values.seed) ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
    episodes: wholeNumber("episodes", values.episodes) ?? Number.POSITIVE_INFINITY,
    seconds: wholeNumber("seconds", values.seconds) ?? Number.POSITIVE_INFINITY,
  };
}

async function report(failure: Failure): Promise<void> {
  const { target, seed, steps } = failure;
  console.log(`\nFAILED ${failure.message}\n`);
  console.log(`again:  npm run fuzz -- --only ${target.name} --seed ${seed} --episodes 1`);
  const fewer = await minimise(failure, MINIMISE_MS);
  console.log(`\n${steps.length} steps, ${fewer.length} when made smaller:`);
  for (const { kind, bytes } of fewer.slice(-STEPS_SHOWN)) console.log(`  ${kind}: ${bytes.toHex() || "(empty)"}`);
}

async function main(): Promise<number> {
  let asked: ReturnType<typeof options>;
  try {
    asked = options();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 2;
  }
  if (asked.help) {
    console.log(USAGE);
    return 0;
  }
  const { chosen, seed, episodes, seconds } = asked;
  const cases = new Map(chosen.map(({ name }) => [name, 0]));
  const startMs = performance.now();
  const tell = (): void => {
    const counts = [...cases].map(([name, count]) => `${name} ${count}`).join(", ");
    const megabytes = (process.memoryUsage.rss() / 1e6).toFixed(0);
    console.log(`${((performance.now() - startMs) / 1_000).toFixed(0)} s, ${megabytes} MB: ${counts} cases`);
  };
  console.log(`seeds from ${seed}`);
  let toldMs = startMs;
  try {
    for (let episode = 0; episode < episodes; episode++) {
      for (const target of chosen) {
        if (performance.now() - startMs > seconds * 1_000) return 0;
        const { cases: more } = await play(target, (seed + episode) >>> 0);
        cases.set(target.name, cases.get(target.name)! + more);
        if (performance.now() - toldMs < PROGRESS_MS) continue;
        toldMs = performance.now();
        tell();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await report(error);
    return 1;
  } finally {
    tell();
    for (const target of chosen) await target.close?.();
  }
}

process.exitCode = await main();
