/**
 * `npm run bench`: measures ctsync and conntrackd side by side, and writes a table, pictures and every reading.
 *
 * Results are written after each measure, so that a run that is interrupted leaves what it has. Exit status 1 if a
 * reading failed, 2 if the arguments make no sense; a goal that is missed is a result, not a failure.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readMachine, readVersions } from "../figures/environment.ts";
import { formatNumber } from "../figures/quantity.ts";
import { type Command, parseCommandLine, USAGE } from "./command-line.ts";
import { MEASURES } from "./measures/index.ts";
import { Progress } from "./progress.ts";
import { publish } from "./publish.ts";
import { Remaining } from "./remaining.ts";
import { emptyResults, keptMeasures, parseResults, type Results } from "./results.ts";
import { planRun, takeReading } from "./series.ts";
import { summarizeMeasure, tally, tallyText } from "./verdict.ts";

const BUSY_LOAD_AVERAGE = 0.5;

function fail(text: string, status: number): number {
  console.error(`bench: ${text}`);
  return status;
}

function render(file: string, outFolder: string): number {
  const results = readResults(file);
  if (typeof results === "string") return fail(results, 2);
  publish(results, outFolder);
  conclude(results, outFolder);
  return 0; // what failed then is told, but is not a failure of the drawing
}

const placeOf = (id: string): number => MEASURES.findIndex((measure) => measure.id === id);

/** The results, or what is wrong with them. */
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

async function measure(command: Extract<Command, { kind: "measure" }>): Promise<number> {
  const { form, only, repeatCount, outFolder } = command;
  const measures = MEASURES.filter(({ id }) => only?.includes(id) ?? true);
  const plan = planRun(measures, form, repeatCount);
  const earlier = readResults(join(outFolder, "results.json"));
  const isAlike = typeof earlier !== "string" && earlier.form === form;
  const progress = new Progress(new Remaining(plan, isAlike ? earlier : undefined));
  const [machine, versions] = [readMachine(), await readVersions()];
  const kept = typeof earlier === "string" ? [] : keptMeasures(earlier, { form, machine }, only);
  const results: Results = { form, startedAt: new Date().toISOString(), machine, versions, measures: kept };
  progress.say(
    `ctsync ${versions.ctsync} and conntrackd ${versions.conntrackd}, ${machine.coreCount} cores, ` +
      `Linux ${machine.kernel}: ${plan.length} readings of ${measures.length} measures`,
  );
  if (machine.loadAverage > BUSY_LOAD_AVERAGE) {
    progress.say(`the machine is busy (load average ${formatNumber(machine.loadAverage)}): figures will be rough`);
  }
  for (const one of measures) {
    const rows = one.rows(form);
    const found = emptyResults(one, rows);
    results.measures.push(found);
    results.measures.sort((a, b) => placeOf(a.id) - placeOf(b.id));
    for (const planned of plan.filter((entry) => entry.measure === one)) {
      const take = await progress.during(planned, () => takeReading(planned, form));
      found.takes.push(take);
      progress.done(planned, take, rows);
    }
    publish(results, outFolder);
  }
  return conclude(results, outFolder) === 0 ? 0 : 1;
}

/** Says how it went; returns the number of readings that failed. */
function conclude(results: Results, outFolder: string): number {
  for (const one of results.measures) {
    for (const { row, goals } of summarizeMeasure(one)) {
      const short = goals.filter(({ verdict }) => verdict !== "met");
      for (const { text, verdict } of short) console.log(`${one.id} ${row.label}: goal ${text} ${verdict}`);
    }
  }
  const failedCount = results.measures.flatMap(({ takes }) => takes).filter(({ failure }) => failure).length;
  if (failedCount > 0) console.log(`${failedCount} readings FAILED`);
  console.log(`${tallyText(tally(results.measures.flatMap(summarizeMeasure)))}; see ${join(outFolder, "results.md")}`);
  return failedCount;
}

async function main(argv: readonly string[]): Promise<number> {
  const ids = MEASURES.map(({ id }) => id);
  const command = parseCommandLine(argv, ids);
  if (!command.ok) return fail(`${command.error}\n\n${USAGE}`, 2);
  switch (command.value.kind) {
    case "help":
      console.log(USAGE);
      return 0;
    case "render":
      return render(command.value.file, command.value.outFolder ?? dirname(resolve(command.value.file)));
    case "measure":
      return measure(command.value);
    default:
      return command.value satisfies never;
  }
}

process.exit(await main(Bun.argv.slice(2)));
