/**
 * The control socket: HTTP over a unix socket that only root may open.
 *
 *   POST /v1/<command>   JSON body; the answer is lines of JSON: progress, then one result (report.ts)
 *   GET  /v1/dump        ?cache=internal|external&format=text|json&of=flows|expectations: a line each;
 *                        ?cache=external&format=words: its flows for ctsync drill
 *   GET  /v1/status      one JSON object
 *   GET  /v1/ready       one JSON object: whether this node holds all that its peer has
 */
import type {
  CommandName,
  FinalLine,
  FlushTarget,
  NotifyRole,
  Orders,
  ProgressLine,
  ReadyReport,
  Replies,
} from "../report.ts";
import type { Result } from "../result.ts";
import { monotonicMs } from "./clock.ts";
import { dumpStream, expectationLines, externalWords, flowLines, type Lines } from "./dump.ts";
import type { Failure, Job } from "./jobs.ts";
import type { Node } from "./node.ts";
import { readiness } from "./readiness.ts";
import type { Roles } from "./roles.ts";
import { statusReport } from "./status.ts";
import { commitAlone } from "./work/commit.ts";
import { flush } from "./work/flush.ts";
import { handover } from "./work/handover.ts";
import { resetTimers } from "./work/kernel-table.ts";
import { bulk, request } from "./work/peers.ts";
import { rekey } from "./work/rekey.ts";
import { resync } from "./work/resync.ts";
import { verify } from "./work/verify.ts";

const FLUSH_TARGETS: readonly FlushTarget[] = ["internal", "external", "kernel", "caches"];
const ROLES: readonly NotifyRole[] = ["master", "backup", "fault", "stop"];
/** How long the last answers may take to go out. */
const FAREWELL_MS = 500;
/** No request is longer. */
const BODY_BYTES_MAX = 65_536;
const DUMP_TYPES = { text: "text/plain", json: "application/x-ndjson", words: "application/octet-stream" };
/** Progress is told no more often. */
const PROGRESS_MS = 50;

type Worked = Result<Replies[CommandName], Failure<Replies[CommandName]>>;

export class Control {
  readonly #node: Node;
  readonly #roles: Roles;
  readonly #server: Bun.Server<undefined>;
  #clients = 0;

  constructor(node: Node, roles: Roles, socketPath: string) {
    this.#node = node;
    this.#roles = roles;
    const before = process.umask(0o177);
    try {
      this.#server = Bun.serve({
        unix: socketPath,
        maxRequestBodySize: BODY_BYTES_MAX,
        fetch: (incoming, server) => this.#answer(incoming, () => server.timeout(incoming, 0)),
        error: (error) => refusal(500, `internal error: ${error.message}`),
      });
    } finally {
      process.umask(before);
    }
  }

  /** Requests are being answered. */
  get busy(): boolean {
    return this.#clients > 0;
  }

  /** Lets the answers in hand go out, but waits for no slow reader. */
  async stop(): Promise<void> {
    await Promise.race([this.#server.stop(), Bun.sleep(FAREWELL_MS)]);
    await this.#server.stop(true);
  }

  /** `patiently`: from then on a commit or a slow reader takes as long as it takes; the request itself must come soon. */
  async #answer(incoming: Request, patiently: () => void): Promise<Response> {
    const url = URL.parse(incoming.url);
    if (url === null) return refusal(400, "the address asked for is no URL");
    const [, version, command] = url.pathname.split("/");
    if (version !== "v1" || command === undefined) return refusal(404, `there is no ${url.pathname}`);
    if (incoming.method === "GET" && command === "status") return Response.json(statusReport(this.#node, this.#roles));
    if (incoming.method === "GET" && command === "ready")
      return Response.json(readiness(this.#node, monotonicMs()) satisfies ReadyReport);
    if (incoming.method === "GET" && command === "dump") {
      patiently();
      return this.#dump(url.searchParams);
    }
    if (incoming.method !== "POST") return refusal(405, `${command} is asked for by POST`);
    const body = await bodyOf(incoming);
    if (body === undefined) return refusal(400, "the body is no JSON object");
    patiently();
    if (command === "notify") {
      const role = ROLES.find((known) => known === (body as Partial<Orders["notify"]>).role);
      if (role === undefined) return refusal(400, `role is one of ${ROLES.join(", ")}`);
      return this.#work(command, (progress) => this.#roles.say("notify", role, progress));
    }
    const job = this.#jobFor(command, body);
    if (typeof job === "string") return refusal(400, job);
    return this.#work(command as CommandName, (progress) => this.#node.jobs.add(job, progress));
  }

  #dump(query: URLSearchParams): Response {
    const cache = query.get("cache");
    const format = query.get("format") ?? "text";
    if (cache !== "internal" && cache !== "external") return refusal(400, "cache is internal or external");
    if (format === "words" && cache === "external") return this.#stream(externalWords(this.#node), format);
    if (format !== "text" && format !== "json") return refusal(400, "format is text or json");
    const of = query.get("of") ?? "flows";
    if (of !== "flows" && of !== "expectations") return refusal(400, "of is flows or expectations");
    const lines = of === "flows" ? flowLines : expectationLines;
    return this.#stream(lines(this.#node, cache, format), format);
  }

  #stream(lines: Lines, format: keyof typeof DUMP_TYPES): Response {
    this.#count("dump");
    this.#clients++;
    let open = true;
    const ended = (): void => {
      if (open) this.#clients--;
      open = false;
    };
    const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const stream = dumpStream(lines, nextTurn, ended);
    return new Response(stream, {
      headers: { "content-type": DUMP_TYPES[format] },
    });
  }

  /** The work that the command names, or a sentence that refuses it. */
  #jobFor(command: string, body: Readonly<Record<string, unknown>>): Job<Replies[CommandName]> | string {
    const node = this.#node;
    switch (command as CommandName) {
      case "commit":
        return commitAlone(node);
      case "resync":
        return resync(node);
      case "bulk":
        return bulk(node);
      case "request":
        return request(node);
      case "reset-timers":
        return resetTimers(node);
      case "flush": {
        const what = FLUSH_TARGETS.find((target) => target === (body as Partial<Orders["flush"]>).what);
        return what === undefined ? `what is one of ${FLUSH_TARGETS.join(", ")}` : flush(node, what);
      }
      case "rekey": {
        const { keys, force } = body as Partial<Orders["rekey"]>;
        return typeof keys === "string" ? rekey(node, keys, force === true) : "keys is the text of a key file";
      }
      case "verify":
        return verify(node);
      case "handover": {
        const { timeoutSeconds, holdSeconds } = body as Partial<Orders["handover"]>;
        if (!isSeconds(timeoutSeconds) || !isSeconds(holdSeconds)) return "timeoutSeconds and holdSeconds are seconds";
        return handover(node, timeoutSeconds * 1_000, holdSeconds * 1_000);
      }
      case "stop":
        return stop(node);
      default:
        return `there is no command ${command}`;
    }
  }

  /** `start` begins the work that was asked for, and is told whom to tell how far it is. */
  #work(command: CommandName, start: (progress: (line: ProgressLine) => void) => Promise<Worked>): Response {
    this.#count(command);
    this.#clients++;
    const encoder = new TextEncoder();
    let open = true;
    const stream = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        const tell = (line: ProgressLine | FinalLine<Replies[CommandName]>): void => {
          if (open) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
        };
        let toldMs = Number.NEGATIVE_INFINITY;
        const tellProgress = (line: ProgressLine): void => {
          const nowMs = monotonicMs();
          if (nowMs - toldMs < PROGRESS_MS) return;
          toldMs = nowMs;
          tell(line);
        };
        try {
          const result = await start(tellProgress);
          tell(result.ok ? result : { ok: false, ...result.error });
        } catch (error) {
          this.#node.log.error(`internal error in ${command}: ${error instanceof Error ? error.stack : error}`);
          tell({ ok: false, error: `internal error: ${error instanceof Error ? error.message : error}` });
        } finally {
          this.#clients--;
          if (open) controller.close();
        }
      },
      // The client went away; the work goes on: half a takeover is worse than none.
      cancel: () => {
        open = false;
      },
    });
    return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
  }

  #count(command: string): void {
    const { requests } = this.#node.state;
    requests[command] = (requests[command] ?? 0) + 1;
    this.#node.log.debug(`asked to ${command}`);
  }
}

const isSeconds = (value: unknown): value is number => typeof value === "number" && value > 0 && value < 100_000;

function* stop(node: Node): Job<Replies["stop"]> {
  node.log.info("asked to stop");
  yield 0; // After all work that was asked for before, but for what waits for a peer.
  node.state.stopping = true;
  return { ok: true, value: { pid: process.pid } };
}

async function bodyOf(incoming: Request): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const text = await incoming.text();
    const body: unknown = text === "" ? {} : JSON.parse(text);
    return typeof body === "object" && body !== null && !Array.isArray(body) ? { ...body } : undefined;
  } catch {
    return undefined;
  }
}

const refusal = (status: number, error: string): Response => Response.json({ error }, { status });
