/** The control socket under requests that no ctsync sends: each is answered or dropped, and the daemon goes on as before. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { ask, insert, makeSides, replicated, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

/** A request that is not whole is dropped after ten seconds; its timer is looked at every few. */
const DROPPED_DEADLINE_MS = 20_000;

let lab: Lab;
let sides: Sides;
let daemon: Daemon;
let idleDescriptors: number;

beforeAll(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab);
  [daemon] = await startPair(sides);
  insert(sides[0], [flowOf({ l4proto: 6, state: 3 })]);
  await replicated(sides[0], sides[1]);
  idleDescriptors = descriptors();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

const descriptors = (): number => readdirSync(`/proc/${daemon.process.pid}/fd`).length;

/** Writes `text` to the control socket and leaves the connection open. */
function write(text: string | Uint8Array): Promise<Socket> {
  const socket = connect(sides[0].socket);
  socket.on("error", () => {}); // The daemon may hang up.
  return new Promise((resolve) => socket.write(text, () => resolve(socket)));
}

/** The answer's first line, or "" when the daemon hangs up without one. */
async function answer(text: string | Uint8Array): Promise<string> {
  const socket = await write(text);
  return new Promise((resolve) => {
    let said = "";
    socket.on("data", (chunk) => {
      said += chunk;
      socket.destroy();
    });
    socket.on("close", () => resolve(said.split("\r\n")[0]!));
  });
}

const CASES: readonly (readonly [
  name: string,
  method: string,
  path: string,
  body: string,
  status: number,
  error: RegExp,
])[] = [
  ["a body that is no JSON", "POST", "/v1/commit", "{", 400, /no JSON object/],
  ["a body that is no object", "POST", "/v1/commit", "[1]", 400, /no JSON object/],
  ["an unknown command", "POST", "/v1/explode", "{}", 400, /there is no command explode/],
  ["a command that JavaScript's objects have", "POST", "/v1/constructor", "{}", 400, /there is no command constructor/],
  ["another version", "POST", "/v2/commit", "{}", 404, /there is no \/v2\/commit/],
  ["no path", "GET", "/", "", 404, /there is no \//],
  ["a command that is read", "GET", "/v1/commit", "", 405, /commit is asked for by POST/],
  ["a flush of nothing known", "POST", "/v1/flush", '{"what":"everything"}', 400, /what is one of internal, external/],
  ["a flush without a target", "POST", "/v1/flush", "", 400, /what is one of/],
  ["an unknown role", "POST", "/v1/notify", '{"role":"king"}', 400, /role is one of master/],
  ["a role that is no text", "POST", "/v1/notify", '{"role":["master"]}', 400, /role is one of master/],
  ["a dump of nothing known", "GET", "/v1/dump?cache=kernel", "", 400, /cache is internal or external/],
  ["a dump in an unknown format", "GET", "/v1/dump?cache=internal&format=xml", "", 400, /format is text or json/],
];

describe("a request is refused in a sentence", () => {
  test.each(CASES)("%s", async (_, method, path, body, status, error) => {
    const got = await ask(sides[0], method, path, body);
    expect(got.status).toBe(status);
    expect(JSON.parse(got.text)).toEqual({ error: expect.stringMatching(error) });
  });

  test("a huge body", async () => {
    expect((await ask(sides[0], "POST", "/v1/commit", " ".repeat(100_000))).status).toBe(413);
  });
});

test("what is no HTTP is hung up on", async () => {
  for (const text of ["\0\0\0\0\r\n\r\n", "commit\n\n", crypto.getRandomValues(new Uint8Array(4_096))])
    expect(await answer(text)).toMatch(/^(HTTP\/1\.1 [45]\d\d .*)?$/);
});

test("an address that is no URL is refused, not taken for an error of our own", async () => {
  for (const start of ["GET /v1/status", "POST /v1/commit"])
    expect(await answer(`${start} HTTP/1.1\r\nHost: [\r\nContent-Length: 0\r\n\r\n`)).toBe("HTTP/1.1 400 Bad Request");
});

test("200 connections at once are answered", async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask(sides[0], "GET", "/v1/status")));
  expect(answers.map(({ status }) => status)).toEqual(Array(200).fill(200));
  const dumps = await Promise.all(Array.from({ length: 200 }, () => ask(sides[0], "GET", "/v1/dump?cache=internal")));
  for (const { text } of dumps) expect(text.split("\n")).toHaveLength(2);
});

test("200 commands at once are done one after the other", async () => {
  const before = (await statusOf(sides[0])).requests.resync ?? 0;
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask(sides[0], "POST", "/v1/resync")));
  for (const { text } of answers) expect(JSON.parse(text.trimEnd().split("\n").at(-1)!)).toMatchObject({ ok: true });
  expect((await statusOf(sides[0])).requests.resync).toBe(before + 200);
});

test("half requests and then silence are dropped after a while, and hold nobody up until then", async () => {
  const halves = ["POST /v1/com", "POST /v1/commit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", ""];
  const sockets = await Promise.all(Array.from({ length: 120 }, (_, i) => write(halves[i % halves.length]!)));
  let dropped = 0;
  for (const socket of sockets) socket.resume().once("close", () => dropped++);
  expect((await ask(sides[0], "GET", "/v1/status")).status).toBe(200);
  insert(sides[0], [flowOf({ l4proto: 6, source: 2, state: 3 })]);
  await replicated(sides[0], sides[1]);
  await until(() => dropped === sockets.length, DROPPED_DEADLINE_MS, "all are dropped");
});

test("a client that leaves amid the answer is forgotten", async () => {
  for (const path of ["GET /v1/dump?cache=internal", "POST /v1/resync", "GET /v1/status"]) {
    const leaving = await Promise.all(
      Array.from({ length: 20 }, () => write(`${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)),
    );
    for (const socket of leaving) socket.destroy();
  }
  await until(() => descriptors() <= idleDescriptors, DROPPED_DEADLINE_MS, "all are gone");
  expect((await ask(sides[0], "POST", "/v1/resync")).text).toContain('"ok":true');
});

test("after all of it: the same process, both caches equal, nothing said but that it started", async () => {
  await replicated(sides[0], sides[1]);
  const { pid, role } = await statusOf(sides[0]);
  expect([pid, role]).toEqual([daemon.process.pid, "unknown"]);
  expect(daemon.process.output).not.toMatch(/ (warning|error): /);
  expect(await daemon.stop()).toBe(0);
});
