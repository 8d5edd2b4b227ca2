/** `npm run soak [-- OPTIONS]`: an hour of load and faults, with a verdict. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Lab } from "../lab/lab.ts";
import { page, picture } from "./report.ts";
import { soak } from "./soak.ts";

const USAGE = `npm run soak [-- OPTIONS]: two daemons under load and random faults, compared after each

  --minutes N   how long; default 60
  --seed N      repeats what another run did; default: drawn from the clock
  --open        on a link without a key, as to a conntrackd; default: sealed
  --apply HOW   live or commit: what sync.apply is; default live
  --rate N      flows a second that begin, end and change, each; default 200
  --out DIR     where soak.md and soak.svg go; default dist/soak
  --help        this text
`;
const OPTIONS = {
  minutes: { type: "string", default: "60" },
  seed: { type: "string", default: String(Date.now() % 1_000_000) },
  apply: { type: "string", default: "live" },
  rate: { type: "string", default: "200" },
  out: { type: "string", default: "dist/soak" },
  open: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;
const ALIVE = 8_000;
const GAP_MS = 12_000;
const SAMPLE_MS = 5_000;
const NOISE_BYTES = 8_000_000;

async function main(): Promise<number> {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 2;
  }
  const [minutes, seed, perSecond] = [Number(values.minutes), Number(values.seed), Number(values.rate)];
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { apply } = values;
  if (!(minutes > 0 && seed >= 0 && perSecond > 0) || (apply !== "live" && apply !== "commit")) {
    console.error(USAGE);
    return 2;
  }
  const say = (line: string): void => console.log(line);
  say(
    `A soak of ${minutes} minutes, seed ${seed}, ${values.open ? "an open link" : "a sealed link"}, apply = ${apply}`,
  );
  await using lab = await Lab.create();
  const load = { alive: ALIVE, perSecond, sealed: !values.open, apply } as const;
  const outcome = await soak(lab, {
    minutes,
    seed,
    load,
    gapMs: GAP_MS,
    sampleMs: SAMPLE_MS,
    noiseBytes: NOISE_BYTES,
    say,
  });
  mkdirSync(values.out, { recursive: true });
  await Bun.write(join(values.out, "soak.svg"), picture(outcome));
  await Bun.write(join(values.out, "soak.md"), page(outcome, "soak.svg"));
  for (const complaint of outcome.complaints) say(`complaint: ${complaint}`);
  say(`${outcome.incidents.length} faults; report in ${join(values.out, "soak.md")}`);
  say(outcome.complaints.length === 0 ? "Verdict: all equal, nothing grew." : "Verdict: FAILED");
  return outcome.complaints.length === 0 ? 0 : 1;
}

process.exitCode = await main();
