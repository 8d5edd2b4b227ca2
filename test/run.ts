/**
 * `npm test`: every check and every test, in order, one heading each. What needs nothing but a core runs side by side with
 * others of its kind, and so do tests in namespaces, which mostly wait; what each of them says is shown in one piece.
 *
 * All of them run even after one failed, so that one run tells everything, and what failed is told once more at the end.
 * The last line is "N passed, M failed": tests as bun counts them, and one failure for each check, or test process, that
 * failed without counting anything. A test that was skipped counts as failed: what is skipped is not known to work.
 */
import { readFileSync } from "node:fs";
import { Glob } from "bun";
import { ending, failuresIn } from "./failures.ts";

interface Stage {
  readonly title: string;
  readonly command: readonly string[];
  readonly isTest?: boolean;
}

interface Result {
  readonly stage: Stage;
  readonly passedCount: number;
  readonly failedCount: number;
  /** What is to be read of those that failed. */
  readonly failures: readonly string[];
  readonly seconds: number;
}

const ROOT = `${import.meta.dir}/..`;
const STAGE_DEADLINE_MS = 12 * 60_000; // bun cannot end a test that never yields
const TEST_DEADLINE_MS = 60_000; // of one test that names none of its own; bunfig.toml cannot say it
/** Stages side by side, as on the smallest machine that has two cores; and so many parts that none of them is left alone for long. */
const SEATS = 2;
const PARTS = 16;
const TAIL_LINES = 20; // bun's counts are among its last lines
const onTerminal = process.stdout.isTTY === true;

/** Beside others the processor may come too late for the one packet that is not to be lost; or it takes all processors. */
const NEEDS_THE_MACHINE = ["test/netns/handover.test.ts", "test/netns/adverts.test.ts"];
/** So written in a file: it changes how many flows a table may have, which is the same for all namespaces. */
const LIMITS_THE_MACHINE = 'machineSysctl("net.netfilter.nf_conntrack_';

/** Test files by what they need: namespaces and root, much time, or nothing. Each is in exactly one group. */
function testGroups() {
  const files = [...new Glob("{src,ffi,test}/**/*.test.ts").scanSync(ROOT)].sort();
  const inFolder = (...folders: string[]) => files.filter((file) => folders.some((folder) => file.startsWith(folder)));
  const [simulation, golden, fuzzing] = [inFolder("test/sim/"), inFolder("test/golden/"), inFolder("test/fuzz/")];
  const failover = inFolder("test/failover/");
  const labs = inFolder("test/lab/", "test/netns/", "test/soak/");
  const alone = labs.filter((file) => NEEDS_THE_MACHINE.includes(file) || textOf(file).includes(LIMITS_THE_MACHINE));
  const soak = inFolder("test/soak/");
  const shared = labs.filter((file) => !alone.includes(file) && !soak.includes(file));
  const grouped = new Set([...simulation, ...golden, ...fuzzing, ...labs, ...failover]);
  const unit = files.filter((file) => !grouped.has(file));
  return { unit, simulation, golden, fuzzing, shared, soak, alone, failover };
}

const textOf = (file: string): string => readFileSync(`${ROOT}/${file}`, "utf8");

/** Stages by turns; those of one turn run side by side, as far as there are seats. */
function turns(): Stage[][] {
  const groups = testGroups();
  const bunTest = (title: string, files: string[]): Stage => ({
    title: `${title}: ${files.length} files`,
    command: [process.execPath, "test", "--timeout", `${TEST_DEADLINE_MS}`, ...files.map((file) => `./${file}`)],
    isTest: true,
  });
  const parts = (title: string, files: string[], count: number): Stage[] =>
    Array.from({ length: count }, (_, part) =>
      bunTest(
        `${title}, part ${part + 1}`,
        files.filter((_, i) => i % count === part),
      ),
    );
  return [
    [
      { title: "Types", command: ["node_modules/.bin/tsc"] },
      { title: "Lint and format", command: ["node_modules/.bin/biome", "check"] },
      { title: "Unused files, exports and packages", command: ["node_modules/.bin/knip"] },
    ],
    [{ title: "Build of dist/ctsync", command: [process.execPath, "build.ts"] }],
    [
      bunTest("Fuzzing", groups.fuzzing),
      ...parts("Simulation", groups.simulation, SEATS),
      bunTest("Unit and property tests", groups.unit),
      bunTest("Golden tests", groups.golden),
    ],
    [bunTest("A short soak", groups.soak), ...parts("Namespace tests", groups.shared, PARTS)],
    [bunTest("Machine limits, handover, advertisements", groups.alone)],
    [bunTest("Failover suite, quick form", groups.failover)],
  ];
}

/** What a stage says: held back until it is shown, and passed on as it comes from then on. */
class Said {
  #held: (() => void)[] | undefined = [];

  write(chunk: Uint8Array, to: NodeJS.WriteStream): void {
    const write = (): void => void to.write(chunk);
    if (this.#held === undefined) write();
    else this.#held.push(write);
  }

  show(): void {
    for (const write of this.#held ?? []) write();
    this.#held = undefined;
  }
}

/** All of the stream, which is said as it comes. */
async function tee(from: ReadableStream<Uint8Array<ArrayBuffer>>, said: Said, to: NodeJS.WriteStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    said.write(chunk, to);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** The number before `word` in bun's summary, as in " 12 pass". */
function counted(output: string, ...words: readonly string[]): number {
  const tail = Bun.stripANSI(output).trimEnd().split("\n").slice(-TAIL_LINES);
  const counts = tail.map((line) => /^ *(\d+) (\w+)$/.exec(line)).filter((found) => found !== null);
  return counts.reduce((sum, [, count, word]) => sum + (words.includes(word ?? "") ? Number(count) : 0), 0);
}

interface Running {
  readonly stage: Stage;
  readonly said: Said;
  readonly ended: Promise<{ readonly status: number; readonly output: string; readonly seconds: number }>;
}

/** Who has a seat runs; who leaves it gives it to the one that has waited longest. */
class Seats {
  #free = SEATS;
  readonly #waiting: (() => void)[] = [];

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function start(stage: Stage, seats: Seats): Running {
  const said = new Said();
  const run = async () => {
    await seats.take();
    const startMs = performance.now();
    const child = Bun.spawn([...stage.command], {
      cwd: ROOT,
      env: { ...process.env, ...(onTerminal ? { FORCE_COLOR: "1" } : {}) },
      stdout: "pipe",
      stderr: "pipe",
      timeout: STAGE_DEADLINE_MS,
      killSignal: "SIGKILL",
    });
    const both = [tee(child.stdout, said, process.stdout), tee(child.stderr, said, process.stderr)];
    const output = (await Promise.all(both)).join("\n");
    const status = await child.exited;
    seats.leave();
    return { status, output, seconds: (performance.now() - startMs) / 1_000 };
  };
  return { stage, said, ended: run() };
}

async function show({ stage, said, ended }: Running): Promise<Result> {
  console.log(`\n━━ ${stage.title} ━━\n`);
  said.show();
  const { status, output, seconds } = await ended;
  if (seconds * 1_000 >= STAGE_DEADLINE_MS) console.log(`killed: not done within ${STAGE_DEADLINE_MS / 1_000} s`);
  if (!stage.isTest) console.log(status === 0 ? "fine" : `failed with exit status ${status}`);
  const notPassed = stage.isTest ? counted(output, "fail", "skip", "todo", "error", "errors") : 0;
  const failedCount = Math.max(notPassed, status === 0 ? 0 : 1);
  const named = stage.isTest ? failuresIn(output) : [];
  const failures = failedCount > 0 && named.length === 0 ? [ending(output.trimEnd().split("\n")).join("\n")] : named;
  return { stage, passedCount: stage.isTest ? counted(output, "pass") : 0, failedCount, failures, seconds };
}

const results: Result[] = [];
for (const turn of turns()) {
  const seats = new Seats();
  const running = turn.map((stage) => start(stage, seats));
  for (const stage of running) results.push(await show(stage));
}

for (const { stage, failures } of results)
  for (const failure of failures) console.log(`\n━━ Failed: ${stage.title} ━━\n\n${failure}`);

console.log("\n━━ Summary ━━\n");
for (const { stage, passedCount, failedCount, seconds } of results) {
  const outcome = failedCount > 0 ? `${failedCount} FAILED` : "fine";
  const tests = stage.isTest ? `${passedCount} tests passed, ` : "";
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${stage.title}: ${tests}${outcome}`);
}
const sum = (count: (result: Result) => number) => results.reduce((total, result) => total + count(result), 0);
const failedCount = sum((result) => result.failedCount);
console.log(`\n${sum((result) => result.passedCount)} passed, ${failedCount} failed`);
process.exit(failedCount === 0 ? 0 : 1);
