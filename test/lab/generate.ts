/**
 * A load of flows for the kernel, as fast as it takes them or at a given rate, each with its own event:
 *
 *   bun test/lab/generate.ts --count 200000 [--rate 50000|max] [--action insert|update|delete] [--first 0]
 *                            [--protocol tcp|udp] [--ipv6] [--snat] [--timeout 300] [--mark 0]
 *   bun test/lab/generate.ts --action churn --alive 100000 --seconds 600 --rate 20000 [...]
 *
 * Run it inside a namespace. Flow number i is always the same flow, so an update or a delete finds what was inserted.
 * Churn makes sure that the first `alive` flows stand, says "alive", and then for so many seconds inserts the next flow
 * and deletes the oldest, in turn, `rate` events a second in all; those that stand at the end stay.
 * Ends with one line of JSON: { "flows", "refused", "seconds" }; of churn, flows inserted, and deletions refused too.
 */
import { parseArgs } from "node:util";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../../src/flow/status.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { explain, type KernelError } from "../../src/kernel/kernel-error.ts";
import type { Result } from "../../src/result.ts";
import { pace } from "./pace.ts";

export interface Shape {
  readonly l4proto: number;
  readonly ipv6: boolean;
  readonly snat: boolean;
  readonly mark: number;
}

const PORTS_EACH = 32_768;
const FIRST_PORT = 1024;
const TCP_ESTABLISHED = 3;

/** Flow number i: a client of 10.0.0.0/8 (2001:db8:1::/96) with 32,768 ports each, to 192.0.2.1 (2001:db8:2::1) port 443. */
export function shapeFlow(flow: f.Flow, i: number, shape: Shape): void {
  const { words } = flow;
  const client = Math.floor(i / PORTS_EACH);
  const port = FIRST_PORT + (i % PORTS_EACH);
  flow.clear();
  words[f.PROTO] = f.protoWord(shape.ipv6 ? 6 : 4, shape.l4proto, 0, f.ZONE_BOTH);
  if (shape.ipv6) {
    words.set([0x20010db8, 0x00010000, 0, client + 1], f.ORIG_SRC);
    words.set([0x20010db8, 0x00020000, 0, 1], f.ORIG_DST);
    words.set([0x20010db8, shape.snat ? 0x00030000 : 0x00010000, 0, client + 1], f.REPLY_DST);
  } else {
    words[f.ORIG_SRC] = 0x0a000001 + client;
    words[f.ORIG_DST] = 0xc0000201;
    words[f.REPLY_DST] = shape.snat ? 0xac100001 + client : words[f.ORIG_SRC];
  }
  words.copyWithin(f.REPLY_SRC, f.ORIG_DST, f.ORIG_DST + 4);
  words[f.ORIG_PORTS] = f.portsWord(port, 443);
  words[f.REPLY_PORTS] = f.portsWord(443, port);
  words[f.HAS] = f.HAS_REPLY | f.HAS_PORTS | f.HAS_STATUS | f.HAS_MARK;
  words[f.STATUS] = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
  words[f.MARK] = shape.mark;
  if (shape.l4proto === f.IPPROTO_TCP) {
    words[f.HAS] |= f.HAS_STATE;
    words[f.INFO] = TCP_ESTABLISHED;
  }
}

/** Inserts (or updates: a flow that stands is updated) or deletes flows by their numbers, many by one message. */
class Sink {
  refused = 0;
  readonly #requests: KernelCommit | KernelDelete;
  readonly #shape: Shape;
  readonly #timeoutSeconds: number;
  readonly #flow = new f.Flow();

  constructor(opened: Result<KernelCommit | KernelDelete, KernelError>, shape: Shape, timeoutSeconds: number) {
    if (!opened.ok) throw new Error(explain(opened.error));
    this.#requests = opened.value;
    this.#shape = shape;
    this.#timeoutSeconds = timeoutSeconds;
  }

  add(i: number): void {
    const requests = this.#requests;
    if (!requests.hasRoom()) this.flush();
    shapeFlow(this.#flow, i, this.#shape);
    if (requests instanceof KernelDelete) requests.add(this.#flow, i);
    else requests.add(this.#flow, i, this.#timeoutSeconds);
  }

  flush(): void {
    this.refused += this.#requests.flush();
  }
}

const USAGE =
  "usage: generate.ts --count N [--rate N|max] [--action insert|update|delete|churn] [--protocol tcp|udp] …";
const OPTIONS = {
  count: { type: "string", default: "1" },
  rate: { type: "string", default: "max" },
  action: { type: "string", default: "insert" },
  alive: { type: "string", default: "1" },
  seconds: { type: "string", default: "1" },
  first: { type: "string", default: "0" },
  protocol: { type: "string", default: "tcp" },
  ipv6: { type: "boolean", default: false },
  snat: { type: "boolean", default: false },
  timeout: { type: "string", default: "300" },
  mark: { type: "string", default: "0" },
} as const;

function generate(): number {
  const { values } = parseArgs({ options: OPTIONS });
  const [count, alive, seconds] = [Number(values.count), Number(values.alive), Number(values.seconds)];
  const [first, timeoutSeconds] = [Number(values.first), Number(values.timeout)];
  const { action, protocol } = values;
  const perSecond = values.rate === "max" ? Number.POSITIVE_INFINITY : Number(values.rate);
  const churns = action === "churn";
  const known = ["insert", "update", "delete", "churn"].includes(action) && ["tcp", "udp"].includes(protocol);
  const positive = [count, perSecond, timeoutSeconds, alive, seconds].every((value) => value > 0);
  if (!known || !positive || !(first >= 0) || (churns && !Number.isFinite(perSecond))) {
    console.error(USAGE);
    return 2;
  }
  const l4proto = protocol === "udp" ? f.IPPROTO_UDP : f.IPPROTO_TCP;
  const shape = { l4proto, ipv6: values.ipv6, snat: values.snat, mark: Number(values.mark) };
  const inserts = new Sink(KernelCommit.open(), shape, timeoutSeconds);
  const deletes = new Sink(KernelDelete.open(), shape, timeoutSeconds);
  const only = action === "delete" ? deletes : inserts;
  if (churns) {
    pace(alive, perSecond, (from, to) => {
      for (let i = from; i < to; i++) inserts.add(first + i);
      inserts.flush();
    });
    console.log("alive");
  }
  const startMs = performance.now();
  const actions = churns ? Math.ceil(seconds * perSecond) : count;
  const act = (action: number): void => {
    const turn = Math.floor(action / 2);
    if (!churns) only.add(first + action);
    else if (action % 2 === 0) inserts.add(first + alive + turn);
    else deletes.add(first + turn);
  };
  pace(actions, perSecond, (from, to) => {
    for (let action = from; action < to; action++) act(action);
    inserts.flush();
    deletes.flush();
  });
  const refused = inserts.refused + deletes.refused;
  const flows = churns ? alive + Math.ceil(actions / 2) : count;
  console.log(JSON.stringify({ flows, refused, seconds: (performance.now() - startMs) / 1000 }));
  return refused === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(generate());
