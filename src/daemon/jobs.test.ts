import { expect, test } from "bun:test";
import { refuse, succeed } from "../result.ts";
import { type Job, Jobs, type Slice } from "./jobs.ts";

/** Yields these slices, noting each in `trace`, and succeeds. */
function* job(name: string, slices: readonly Slice[], trace: string[]): Job<string> {
  for (const slice of slices) {
    trace.push(name);
    yield slice;
  }
  trace.push(`${name} done`);
  return succeed(name);
}

const turns = (jobs: Jobs, count: number): void => {
  for (let nowMs = 0; nowMs < count; nowMs++) jobs.turn(nowMs);
};

test("jobs run one after the other, a slice a turn", async () => {
  const jobs = new Jobs();
  const trace: string[] = [];
  const answers = [jobs.add(job("a", [0, 0], trace)), jobs.add(job("b", [0], trace))];
  turns(jobs, 1);
  expect(trace).toEqual(["a"]);
  turns(jobs, 4);
  expect(trace).toEqual(["a", "a", "a done", "b", "b done"]);
  expect(await Promise.all(answers)).toEqual([succeed("a"), succeed("b")]);
  expect(jobs.busy).toBe(false);
});

test("a job that rests keeps its place, and says when it goes on", () => {
  const jobs = new Jobs();
  const trace: string[] = [];
  void jobs.add(job("a", [5], trace));
  void jobs.add(job("b", [], trace));
  jobs.turn(10);
  expect(jobs.dueMs).toBe(15);
  jobs.turn(14);
  expect(trace).toEqual(["a"]);
  jobs.turn(15);
  jobs.turn(15);
  expect(trace).toEqual(["a", "a done", "b done"]);
});

test("jobs that wait for a peer are passed by those behind them, and come to their end", async () => {
  const jobs = new Jobs();
  const trace: string[] = [];
  const wait = { peerWaitMs: 3 };
  const waiting = [jobs.add(job("a", [wait, wait], trace)), jobs.add(job("b", [wait], trace))];
  const working = jobs.add(job("c", [0, { progress: "working", done: 1 }, 0], trace));
  turns(jobs, 20);
  expect(trace.filter((line) => line.startsWith("c"))).toEqual(["c", "c", "c", "c done"]);
  expect(trace.indexOf("c done")).toBeLessThan(trace.indexOf("a done"));
  expect(await Promise.all([...waiting, working])).toEqual([succeed("a"), succeed("b"), succeed("c")]);
  expect(jobs.dueMs).toBe(Number.POSITIVE_INFINITY);
});

test("while jobs wait, the next one due is looked at", () => {
  const jobs = new Jobs();
  void jobs.add(job("a", [{ peerWaitMs: 50 }], []));
  void jobs.add(job("b", [7], []));
  jobs.turn(0);
  jobs.turn(0);
  expect(jobs.dueMs).toBe(7);
});

test("a failure is an answer, a throw reaches whoever asked, and the next job runs", async () => {
  const jobs = new Jobs();
  // biome-ignore lint/correctness/useYield: a job that fails at once
  function* failing(): Job<string> {
    return refuse({ error: "no" });
  }
  // biome-ignore lint/correctness/useYield: a job with a bug
  function* broken(): Job<string> {
    throw new Error("bug");
  }
  const told: unknown[] = [];
  const failed = jobs.add(failing());
  const threw = jobs.add(broken()).catch((error: Error) => error.message);
  const last = jobs.add(job("last", [{ progress: "p", done: 1, total: 2 }], []), (line) => told.push(line));
  turns(jobs, 5);
  expect(await failed).toEqual(refuse({ error: "no" }));
  expect(await threw).toBe("bug");
  expect(await last).toEqual(succeed("last"));
  expect(told).toEqual([{ progress: "p", done: 1, total: 2 }]);
});

test("idle work has the turns that no other job wants, and one that came later goes first", async () => {
  const jobs = new Jobs();
  const trace: string[] = [];
  const idle = jobs.addIdle(job("idle", [0, 0], trace));
  expect(jobs.dueMs).toBe(0);
  turns(jobs, 1);
  void jobs.add(job("a", [0], trace));
  turns(jobs, 2);
  expect(trace).toEqual(["idle", "a", "a done"]);
  void jobs.add(job("b", [{ peerWaitMs: 100 }], trace));
  turns(jobs, 4);
  expect(trace).toEqual(["idle", "a", "a done", "b", "idle", "idle done"]);
  expect(await idle).toEqual(succeed("idle"));
});

test("of several idle jobs the first goes on that does not rest, and none is due while another job works", () => {
  const jobs = new Jobs();
  const trace: string[] = [];
  void jobs.addIdle(job("a", [10, 0], trace));
  void jobs.addIdle(job("b", [0, 0], trace));
  for (let nowMs = 0; nowMs < 3; nowMs++) jobs.turn(nowMs);
  expect(trace).toEqual(["a", "b", "b"]);
  void jobs.add(job("c", [100], trace));
  jobs.turn(3);
  expect(jobs.dueMs).toBe(103);
  jobs.turn(50);
  expect(trace).toEqual(["a", "b", "b", "c"]);
});
