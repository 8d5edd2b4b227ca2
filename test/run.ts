/**
 * `npm test`: every check and every test, in order, one heading each.
 *
 * All of them run even after one failed, so that one run tells everything. The last line is "N passed, M failed": tests
 * as bun counts them, and one failure for each check, or test process, that failed without counting anything. A test
 * that was skipped counts as failed: what is skipped is not known to work.
 */
import { Glob } from "bun";

interface Stage {
  readonly title: string;
  readonly command: readonly string[];
  readonly isTest?: boolean;
}

interface Result {
  readonly stage: Stage;
  readonly passedCount: number;
  readonly failedCount: number;
  readonly seconds: number;
}

const ROOT = `${import.meta.dir}/..`;
const STAGE_DEADLINE_MS = 10 * 60_000; // bun cannot end a test that never yields
const TEST_DEADLINE_MS = 60_000; // of one test that names none of its own; bunfig.toml cannot say it
const TAIL_LINES = 20; // bun's counts are among its last lines
const onTerminal = process.stdout.isTTY === true;

/** Test files by what they need: namespaces and root, much time, or nothing. Each is in exactly one group. */
function testGroups() {
  const files = [...new Glob("{src,ffi,test}/**/*.test.ts").scanSync(ROOT)].sort();
  const inFolder = (...folders: string[]) => files.filter((file) => folders.some((folder) => file.startsWith(folder)));
  const [simulation, golden, fuzzing] = [inFolder("test/sim/"), inFolder("test/golden/"), inFolder("test/fuzz/")];
  const faults = inFolder("test/netns/fault-", "test/soak/");
  const failover = inFolder("test/failover/");
  const namespaces = inFolder("test/lab/", "test/netns/").filter((file) => !faults.includes(file));
  const grouped = new Set([...simulation, ...golden, ...fuzzing, ...namespaces, ...faults, ...failover]);
  const unit = files.filter((file) => !grouped.has(file));
  return { unit, simulation, golden, fuzzing, namespaces, faults, failover };
}

function stages(): Stage[] {
  const groups = testGroups();
  const bunTest = (title: string, files: string[]): Stage => ({
    title: `${title}: ${files.length} files`,
    command: [process.execPath, "test", "--timeout", `${TEST_DEADLINE_MS}`, ...files.map((file) => `./${file}`)],
    isTest: true,
  });
  return [
    { title: "Types", command: ["node_modules/.bin/tsc"] },
    { title: "Lint and format", command: ["node_modules/.bin/biome", "check"] },
    { title: "Unused files, exports and packages", command: ["node_modules/.bin/knip"] },
    { title: "Build of dist/ctsync", command: [process.execPath, "build.ts"] },
    bunTest("Unit and property tests", groups.unit),
    bunTest("Simulation", groups.simulation),
    bunTest("Golden tests", groups.golden),
    bunTest("Fuzzing", groups.fuzzing),
    bunTest("Namespace tests", groups.namespaces),
    bunTest("Real faults and a short soak", groups.faults),
    bunTest("Failover suite, quick form", groups.failover),
  ];
}

/** Passes the stream on as it comes, and returns all of it. */
async function tee(from: ReadableStream<Uint8Array<ArrayBuffer>>, to: NodeJS.WriteStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    to.write(chunk);
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

async function run(stage: Stage): Promise<Result> {
  console.log(`\n━━ ${stage.title} ━━\n`);
  const startMs = performance.now();
  const child = Bun.spawn([...stage.command], {
    cwd: ROOT,
    env: { ...process.env, ...(onTerminal ? { FORCE_COLOR: "1" } : {}) },
    stdout: "pipe",
    stderr: "pipe",
    timeout: STAGE_DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([tee(child.stdout, process.stdout), tee(child.stderr, process.stderr)]);
  const status = await child.exited;
  const seconds = (performance.now() - startMs) / 1_000;
  if (seconds * 1_000 >= STAGE_DEADLINE_MS) console.log(`killed: not done within ${STAGE_DEADLINE_MS / 1_000} s`);
  if (!stage.isTest) {
    console.log(status === 0 ? "fine" : `failed with exit status ${status}`);
    return { stage, passedCount: 0, failedCount: status === 0 ? 0 : 1, seconds };
  }
  const output = `${stdout}\n${stderr}`;
  const notPassed = counted(output, "fail", "skip", "todo", "error", "errors");
  return {
    stage,
    passedCount: counted(output, "pass"),
    failedCount: Math.max(notPassed, status === 0 ? 0 : 1),
    seconds,
  };
}

const results: Result[] = [];
for (const stage of stages()) results.push(await run(stage));

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
