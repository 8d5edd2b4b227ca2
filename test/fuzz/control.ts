/**
 * Raw bytes to the control socket of a running daemon, many connections at once: it answers each in HTTP, or hangs up, lives
 * on, and goes on replicating with its peer.
 *
 * A step is several requests. A whole command among them is done like any other (a flush, a commit, a new role); only what
 * would stop the daemon is left out.
 */
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  DEADLINE_MS,
  insert,
  makeSides,
  replicated,
  type Sides,
  startPair,
  statusOf,
} from "../netns/daemon-pair.ts";
import { flowOf } from "../netns/kernel-traffic.ts";
import type { Random } from "../sim/random.ts";
import { concatenate } from "./attribute-tree.ts";
import { mutateBytes, pick, randomBytes } from "./mutate.ts";
import { holds, type Life, type Step, type Target } from "./target.ts";

const REQUESTS_PER_STEP = 32;
/** After so much silence the client hangs up: a request that is not whole is answered by nothing. */
const PATIENCE_MS = 40;
const SEPARATOR = new TextEncoder().encode("\0|\0");

const METHODS = ["GET", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS", "get", "G\0T", ""];
const PATHS = [
  ...[
    "/v1/status",
    "/v1/dump?cache=internal",
    "/v1/dump?cache=external&format=json",
    "/v1/dump?cache=kernel",
    "/v1/dump",
  ],
  ...[
    "/v1/notify",
    "/v1/commit",
    "/v1/flush",
    "/v1/resync",
    "/v1/bulk",
    "/v1/request",
    "/v1/reset-timers",
    "/v1/constructor",
  ],
  ...[
    "/",
    "*",
    "//",
    "/v1",
    "/v1/",
    "/v2/commit",
    "http://x/v1/status",
    "http://[/",
    "/%",
    "/v1/%00",
    "/../v1/status",
    "/v1/é",
  ],
  ...[
    "/v1/dump?cache=internal&cache=external",
    `/v1/${"x".repeat(3_000)}`,
    "/v1/__proto__",
    "/v1/commit/commit",
    "/v1/commit?x",
  ],
];
const HEADERS = [
  ...[
    "Host: x",
    "Host: x",
    "Host:",
    "Host: [",
    "Host: a b",
    "Host: é",
    "Host: x:99999",
    "Connection: close",
    "Connection: keep-alive",
  ],
  ...[
    "Content-Length: 2",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 100000",
    "Content-Length: x",
  ],
  ...[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: x",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "X: \0",
    ": x",
    "X",
    " X: y",
  ],
  ...[
    "Accept-Encoding: gzip",
    "Range: bytes=0-1",
    `X: ${"y".repeat(2_000)}`,
    "Content-Encoding: gzip",
    "If-None-Match: *",
  ],
];
const BODIES = [
  ...[
    "",
    "{}",
    "{",
    "[1]",
    "null",
    "0",
    '"x"',
    '{"role":"master"}',
    '{"role":"backup"}',
    '{"role":"fault"}',
    '{"role":["master"]}',
  ],
  ...[
    '{"what":"internal"}',
    '{"what":"external"}',
    '{"what":"kernel"}',
    '{"what":"caches"}',
    '{"what":{}}',
    '{"__proto__":{"what":1}}',
  ],
  ...[
    '{"role":"\\u0000"}',
    "[".repeat(5_000),
    `{"x":"${"y".repeat(70_000)}"}`,
    "\ufeff{}",
    '{"role":1e999}',
    "5\r\nhello\r\n0\r\n\r\n",
  ],
];

interface Stage {
  readonly lab: Lab;
  readonly sides: Sides;
  readonly daemon: Daemon;
  readonly idleDescriptors: number;
}

export class ControlTarget implements Target {
  readonly name = "control";
  readonly steps = 20;
  readonly flavours = 1;
  #stage: Promise<Stage> | undefined;
  #flows = 0;
  /** A life has begun that has not ended well. */
  #failed = false;

  cases(): number {
    return REQUESTS_PER_STEP;
  }

  /** The daemon of the last life goes on, unless something failed in it: then there are two new ones. */
  async begin(): Promise<Life> {
    if (this.#failed) await this.close();
    this.#failed = true;
    this.#stage ??= startStage();
    const stage = await this.#stage;
    return {
      apply: ({ bytes }) => this.#send(stage, bytes),
      end: async () => {
        await this.#goesOn(stage);
        this.#failed = false;
      },
    };
  }

  make(random: Random): Step {
    const requests = Array.from({ length: REQUESTS_PER_STEP }, () => requestOf(random));
    return { kind: "requests", bytes: concatenate(requests.flatMap((request) => [request, SEPARATOR])) };
  }

  /** Of the daemon that is fuzzed. */
  async rssBytes(): Promise<number> {
    const { daemon } = (await this.#stage)!;
    const status = await Bun.file(`/proc/${daemon.process.pid}/status`).text();
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1_024;
  }

  async close(): Promise<void> {
    const stage = await this.#stage;
    this.#stage = undefined;
    await stage?.lab[Symbol.asyncDispose]();
  }

  async #send({ sides }: Stage, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const requests = split(bytes).filter((request) => !/stop/i.test(Buffer.from(request).toString("latin1")));
    const answers = await Promise.all(requests.map((request) => exchange(sides[0].socket, request)));
    for (const answer of answers) checkAnswer(answer);
    return [...new Set(answers.map((answer) => answer.slice(0, 12)))].sort().join();
  }

  /** The same process, no descriptor lost, and both directions replicate. */
  async #goesOn({ sides, daemon, idleDescriptors }: Stage): Promise<void> {
    await until(() => descriptors(daemon) <= idleDescriptors, DEADLINE_MS, "every connection is let go");
    holds((await statusOf(sides[0])).pid === daemon.process.pid, "another process answers");
    holds((await ask(sides[0], "GET", "/v1/nothing")).status === 405, "a wrong request is not refused");
    // What was flushed on one side is still on the other.
    await command(sides, 0, "resync");
    for (const side of [0, 1] as const) {
      await command(sides, side, "flush", '{"what":"external"}');
      await command(sides, side, "request");
    }
    const source = 1_000 + (this.#flows++ % 10_000);
    for (const side of sides) insert(side, [flowOf({ l4proto: 17, source })]);
    await replicated(sides[0], sides[1]);
    await replicated(sides[1], sides[0]);
    holds(!/internal error|\bat .*:\d+:\d+\)/.test(daemon.process.output), daemon.process.output);
  }
}

async function startStage(): Promise<Stage> {
  const lab = await Lab.create();
  try {
    const sides = await makeSides(lab);
    const [daemon] = await startPair(sides);
    insert(sides[0], [flowOf({ l4proto: 6, state: 3 })]);
    await replicated(sides[0], sides[1]);
    return { lab, sides, daemon, idleDescriptors: descriptors(daemon) };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

const descriptors = (daemon: Daemon): number => readdirSync(`/proc/${daemon.process.pid}/fd`).length;

async function command(sides: Sides, side: 0 | 1, name: string, body = "{}"): Promise<void> {
  const { text } = await ask(sides[side], "POST", `/v1/${name}`, body);
  holds(text.trimEnd().split("\n").at(-1)!.includes('"ok":true'), `${name} after all of it: ${text}`);
}

/** Sends the bytes on a connection of their own; all that came back until one of the two hung up. */
function exchange(socketPath: string, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let said = "";
    socket.on("connect", () => {
      socket.write(bytes);
      socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    });
    socket.on("data", (chunk) => {
      if (said.length < 65_536) said += chunk.toString("latin1");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") reject(new Error("nobody listens any more"));
    });
    socket.on("close", () => resolve(said));
  });
}

function checkAnswer(answer: string): void {
  holds(answer === "" || /^HTTP\/1\.1 [1-5]\d\d /.test(answer), `what is no HTTP: ${answer.slice(0, 200)}`);
  for (const [line, status] of answer.matchAll(/^HTTP\/1\.1 (5\d\d) /gm)) {
    holds(status === "501" || status === "505", `${line}: ${answer.slice(0, 400)}`);
  }
}

function split(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  while (at < bytes.length) {
    const found = buffer.indexOf(SEPARATOR, at);
    const end = found < 0 ? bytes.length : found;
    if (end > at) parts.push(bytes.slice(at, end));
    at = end + SEPARATOR.length;
  }
  return parts;
}

function requestOf(random: Random): Uint8Array<ArrayBuffer> {
  if (random.percent(3)) return randomBytes(random, 1 + random.below(200));
  const body = pick(random, BODIES);
  const headers = Array.from({ length: random.below(4) }, () => pick(random, HEADERS));
  if (random.percent(70)) headers.unshift("Host: ctsync", "Connection: close");
  if (random.percent(70)) headers.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const method = random.percent(85) ? (random.percent(60) ? "POST" : "GET") : pick(random, METHODS);
  const version = random.percent(97) ? "HTTP/1.1" : pick(random, ["HTTP/1.0", "HTTP/2", "HTTP/9.9", "", "http/1.1"]);
  const end = random.percent(95) ? "\r\n" : pick(random, ["\n", "\r", "\n\r"]);
  const text = `${method} ${pick(random, PATHS)} ${version}${end}${headers.map((header) => header + end).join("")}${end}${body}`;
  const bytes = Uint8Array.from(new TextEncoder().encode(text));
  return random.percent(30) ? mutateBytes(bytes, random) : bytes;
}
