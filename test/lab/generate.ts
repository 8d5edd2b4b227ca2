/**
 * A load of flows for the kernel, as fast as it takes them or at a given rate, each with its own event:
 *
 *   bun test/lab/generate.ts --count 200000 [--rate 50000|max] [--action insert|update|delete] [--first 0]
 *                            [--protocol tcp|udp] [--ipv6] [--snat] [--timeout 300] [--mark 0]
 *
 * Run it inside a namespace. Flow number i is always the same flow, so an update or a delete finds what was inserted.
 * Ends with one line of JSON: { "flows", "refused", "seconds" }.
 */
import { parseArgs } from "node:util";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../../src/flow/status.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { explain } from "../../src/kernel/kernel-error.ts";

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

/** What `commit` and `delete` have in common here. */
interface Sink {
  hasRoom(): boolean;
  flush(): number;
  close(): void;
}

async function generate(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: "string" },
      rate: { type: "string", default: "max" },
      action: { type: "string", default: "insert" },
      first: { type: "string", default: "0" },
      protocol: { type: "string", default: "tcp" },
      ipv6: { type: "boolean", default: false },
      snat: { type: "boolean", default: false },
      timeout: { type: "string", default: "300" },
      mark: { type: "string", default: "0" },
    },
  });
  const count = Number(values.count);
  const first = Number(values.first);
  const perSecond = values.rate === "max" ? Number.POSITIVE_INFINITY : Number(values.rate);
  const timeoutSeconds = Number(values.timeout);
  const known = ["insert", "update", "delete"].includes(values.action) && ["tcp", "udp"].includes(values.protocol);
  if (!known || !(count > 0) || !(perSecond > 0) || !(first >= 0) || !(timeoutSeconds > 0)) {
    console.error("usage: generate.ts --count N [--rate N|max] [--action insert|update|delete] [--protocol tcp|udp] …");
    return 2;
  }
  const l4proto = values.protocol === "udp" ? f.IPPROTO_UDP : f.IPPROTO_TCP;
  const shape = { l4proto, ipv6: values.ipv6, snat: values.snat, mark: Number(values.mark) };
  const opened = values.action === "delete" ? KernelDelete.open() : KernelCommit.open();
  if (!opened.ok) {
    console.error(explain(opened.error));
    return 1;
  }
  const sink: Sink = opened.value;
  const flow = new f.Flow();
  const add = (i: number): void => {
    shapeFlow(flow, i, shape);
    if (opened.value instanceof KernelDelete) opened.value.add(flow, i);
    else opened.value.add(flow, i, timeoutSeconds);
  };
  const startMs = performance.now();
  const refused = await paced(sink, add, first, first + count, perSecond);
  sink.close();
  console.log(JSON.stringify({ flows: count, refused, seconds: (performance.now() - startMs) / 1000 }));
  return refused === 0 ? 0 : 1;
}

/** Works through the flows, never ahead of `perSecond`; how many were refused. */
async function paced(
  sink: Sink,
  add: (i: number) => void,
  from: number,
  to: number,
  perSecond: number,
): Promise<number> {
  const startMs = performance.now();
  let refused = 0;
  for (let i = from; i < to; ) {
    const due = from + ((performance.now() - startMs) / 1000) * perSecond;
    const until = Math.min(to, due);
    for (; i < until; i++) {
      if (!sink.hasRoom()) refused += sink.flush();
      add(i);
    }
    refused += sink.flush();
    if (Number.isFinite(perSecond)) await Bun.sleep(1);
  }
  return refused;
}

if (import.meta.main) process.exit(await generate());
