/**
 * `npm run failover`: firewalls fail, stop and return, under ctsync and under conntrackd, again and again.
 *
 * Results are written after each run, so that one that is interrupted leaves what it has. Exit status 1 if a run did not come
 * to its end, 2 if the arguments make no sense; a connection that dies is a result, not a failure.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readMachine, readVersions } from "../figures/environment.ts";
import { formatDuration, formatNumber } from "../figures/quantity.ts";
import { type Command, parseCommandLine, USAGE } from "./command-line.ts";
import { cycle } from "./cycle.ts";
import { tally } from "./markdown.ts";
import { type Observation, OTHER_TITLES, OTHERS } from "./observation.ts";
import { nameOf, Remaining, type Row } from "./plan.ts";
import { publish } from "./publish.ts";
import { type Cycle, parseResults, type Results, rowResults } from "./results.ts";
import { Stand } from "./stand.ts";
import { isWhole, summarizeResults } from "./summary.ts";

const CONNECTIONS = 200;

function fail(text: string): number {
  console.error(`failover: ${text}`);
  return 2;
}

function readResults(file: string): Results | string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return `${file} cannot be read: ${error instanceof Error ? error.message : error}`;
  }
  const results = parseResults(text);
  return results.ok ? results.value : `${file}: ${results.error}`;
}

/** "death 200 of 200, last 5 ms 9 of 10, RST 0, stall 12 ms" */
function observationText(one: Observation): string {
  const dead = OTHERS.filter((other) => !isWhole(one.others[other]));
  const lost = dead.length === 0 ? "" : `, dead: ${dead.map((other) => OTHER_TITLES[other]).join(", ")}`;
  const resets = one.resetsInside + one.resetsOutside;
  const late = one.late.connections === 0 ? "" : `, last 5 ms ${one.late.survivors} of ${one.late.connections}`;
  const stall = dead.includes("push") ? "" : `, stall ${formatNumber(one.pushLateMs)} ms`;
  return `${one.scenario} ${one.survivors} of ${one.connections}${lost}${late}, RST ${resets}${stall}`;
}

class Run {
  readonly #results: Results;
  readonly #outFolder: string;
  readonly #traceFolder: string | undefined;
  readonly #remaining: Remaining;
  readonly #startedMs = performance.now();

  constructor(results: Results, folders: Folders, plan: readonly Row[]) {
    this.#results = results;
    this.#outFolder = folders.outFolder;
    this.#traceFolder = folders.traceFolder;
    this.#remaining = new Remaining(plan);
  }

  /** So many cycles of one row; a pair on which one did not come to its end is thrown away. */
  async row(row: Row, runs: number): Promise<void> {
    const { subject, flows, input } = row;
    const traceFolder = this.#traceFolder && join(this.#traceFolder, `${subject.id}-${flows}-${input}`);
    for (let done = 0; done < runs; ) {
      let stand: Stand | undefined;
      let startMs = performance.now();
      try {
        stand = await Stand.build({ ...row, connections: CONNECTIONS, traceFolder });
        for (; done < runs; done++) {
          await this.#cycle(row, stand, done, startMs);
          startMs = performance.now();
        }
      } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        this.#note(row, { elapsedMs: performance.now() - startMs, observations: [], failure }, done++);
      } finally {
        await stand?.[Symbol.asyncDispose]();
      }
    }
  }

  async #cycle(row: Row, stand: Stand, at: number, startMs: number): Promise<void> {
    const observations: Observation[] = [];
    let failure: string | undefined;
    try {
      for await (const observation of cycle(stand)) observations.push(observation);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    const taken = { elapsedMs: performance.now() - startMs, observations };
    if (failure === undefined) return this.#note(row, taken, at);
    // What was observed until then counts; the pair does not go on.
    if (observations.length > 0) this.#keep(row, taken);
    throw new Error(failure);
  }

  #keep(row: Row, taken: Cycle): void {
    rowResults(this.#results, row).cycles.push(taken);
    publish(this.#results, this.#outFolder);
  }

  #note(row: Row, taken: Cycle, at: number): void {
    this.#keep(row, taken);
    this.#remaining.done(row, taken.elapsedMs);
    const gone = `${formatDuration(performance.now() - this.#startedMs)} gone`;
    const leftMs = this.#remaining.leftMs();
    const left = leftMs === undefined ? "" : `, about ${formatDuration(leftMs)} left`;
    const said =
      taken.failure === undefined ? taken.observations.map(observationText).join("; ") : `FAILED: ${taken.failure}`;
    console.log(`[${gone}${left}] ${nameOf(row)}, run ${at + 1}: ${said}`);
  }
}

type RunCommand = Extract<Command, { kind: "run" }>;
type Folders = Pick<RunCommand, "outFolder" | "traceFolder">;

async function run({ plan, adds, outFolder, traceFolder }: RunCommand): Promise<number> {
  const [machine, versions] = [readMachine(), await readVersions()];
  const earlier = readResults(join(outFolder, "results.json"));
  const results: Results = {
    ...{ startedAt: new Date().toISOString(), machine, versions },
    rows: typeof earlier === "string" ? [] : earlier.rows,
  };
  if (!adds) for (const [row] of plan) rowResults(results, row).cycles.length = 0;
  const run = new Run(
    results,
    { outFolder, traceFolder },
    plan.flatMap(([row, runs]) => Array.from({ length: runs }, () => row)),
  );
  const runs = plan.reduce((sum, [, count]) => sum + count, 0);
  console.log(`${plan.length} rows, ${runs} runs, on ${machine.coreCount} cores, Linux ${machine.kernel}`);
  for (const [row, count] of plan) await run.row(row, count);
  return conclude(results, outFolder);
}

function conclude(results: Results, outFolder: string): number {
  publish(results, outFolder);
  const failed = results.rows.flatMap(({ cycles }) => cycles).filter(({ failure }) => failure !== undefined).length;
  if (failed > 0) console.log(`${failed} runs did not come to their end`);
  console.log(`${tally(summarizeResults(results))}; see ${join(outFolder, "results.md")}`);
  return failed === 0 ? 0 : 1;
}

async function main(argv: readonly string[]): Promise<number> {
  const command = parseCommandLine(argv);
  if (!command.ok) return fail(`${command.error}\n\n${USAGE}`);
  switch (command.value.kind) {
    case "help":
      console.log(USAGE);
      return 0;
    case "render": {
      const { file, outFolder } = command.value;
      const results = readResults(file);
      return typeof results === "string" ? fail(results) : conclude(results, outFolder ?? dirname(resolve(file)));
    }
    case "run":
      return run(command.value);
    default:
      return command.value satisfies never;
  }
}

process.exit(await main(Bun.argv.slice(2)));
