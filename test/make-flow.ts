/** Flows for tests: made from a few names, or arbitrary for properties. */
import fc from "fast-check";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HELPER,
  INFO,
  IPPROTO_TCP,
  LABELS,
  MARK,
  MASTER_PORTS,
  MASTER_PROTO,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  TIMEOUT,
} from "../src/flow/flow.ts";
import { deriveReply } from "../src/flow/reply.ts";

export interface FlowParts {
  readonly l4proto?: number;
  readonly zone?: number;
  /** One word is an IPv4 address, four are an IPv6 one; both of the same family. */
  readonly source?: readonly number[];
  readonly destination?: readonly number[];
  readonly ports?: number;
  readonly status?: number;
  readonly timeoutSeconds?: number;
  readonly mark?: number;
}

export const HOST = [0x0a000001]; // 10.0.0.1
export const SERVER = [0xc0000205]; // 192.0.2.5
export const HOST6 = [0x20010db8, 1, 0, 1]; // 2001:db8:0:1::1
export const SERVER6 = [0x20010db8, 2, 0, 5];

/** 10.0.0.1:40000 → 192.0.2.5:443 over TCP, seen by the kernel, unless the parts say otherwise. */
export function makeFlow(parts: FlowParts = {}): Flow {
  const flow = new Flow();
  const words = flow.words;
  const source = parts.source ?? HOST;
  words[PROTO] = protoWord(source.length === 4 ? 6 : 4, parts.l4proto ?? IPPROTO_TCP, parts.zone ?? 0, 0);
  words.set(source, ORIG_SRC);
  words.set(parts.destination ?? (source.length === 4 ? SERVER6 : SERVER), ORIG_DST);
  words[ORIG_PORTS] = parts.ports ?? portsWord(40_000, 443);
  deriveReply(words);
  words[HAS] = HAS_REPLY | HAS_STATUS | HAS_PORTS;
  words[STATUS] = parts.status ?? 0;
  if (parts.timeoutSeconds !== undefined) give(flow, HAS_TIMEOUT, TIMEOUT, parts.timeoutSeconds);
  if (parts.mark !== undefined) give(flow, HAS_MARK, MARK, parts.mark);
  return flow;
}

/** The same flow without anything but its key: what an update of one attribute starts from. */
export function bare(flow: Flow): Flow {
  const update = new Flow();
  update.words.set(flow.words.subarray(0, ORIG_PORTS + 1));
  return update;
}

/** Sets one attribute: its HAS bit and its words from `at` on. */
export function give(flow: Flow, has: number, at: number, ...values: readonly number[]): Flow {
  flow.words[HAS] |= has;
  flow.words.set(values, at);
  return flow;
}

/** Sets the tuple of its master, whose addresses have four words each; without ports, all but them is known of it. */
export function giveMaster(
  flow: Flow,
  proto: number,
  source: readonly number[],
  destination: readonly number[],
  ports?: number,
): Flow {
  give(flow, HAS_MASTER, MASTER_PROTO, proto, ...source, ...destination);
  return ports === undefined ? flow : give(flow, HAS_MASTER_PORTS, MASTER_PORTS, ports);
}

const uint32 = fc.integer({ min: 0, max: 0xffffffff });

/** What a flow may or may not have behind its key: first word, one past the last, and HAS bit. */
export const ATTRIBUTES = {
  status: [STATUS, TIMEOUT, HAS_STATUS],
  timeout: [TIMEOUT, MARK, HAS_TIMEOUT],
  mark: [MARK, INFO, HAS_MARK],
  state: [INFO, INFO + 1, HAS_STATE],
  labels: [LABELS, HELPER, HAS_LABELS],
  helper: [HELPER, MASTER_PROTO, HAS_HELPER],
  master: [MASTER_PROTO, MASTER_PORTS, HAS_MASTER],
  masterPorts: [MASTER_PORTS, SEQADJ, HAS_MASTER | HAS_MASTER_PORTS],
  seqadj: [SEQADJ, SYNPROXY, HAS_SEQADJ],
  synproxy: [SYNPROXY, SYNPROXY + 3, HAS_SYNPROXY],
} as const;
const RANGES = Object.values(ATTRIBUTES);

/** Any flow: its key from a small pool, so that keys come again and resemble each other; anything behind the key. */
export const arbitraryFlow: fc.Arbitrary<Flow> = fc
  .record({
    family: fc.constantFrom(4, 6),
    l4proto: fc.constantFrom(6, 17),
    zone: fc.constantFrom(0, 0, 7),
    host: fc.integer({ min: 1, max: 3 }),
    port: fc.constantFrom(1, 2),
    reply: fc.array(uint32, { minLength: 9, maxLength: 9 }),
    has: fc.array(fc.boolean(), { minLength: RANGES.length, maxLength: RANGES.length }),
    values: fc.array(uint32, { minLength: 64, maxLength: 64 }),
  })
  .map(({ family, l4proto, zone, host, port, reply, has, values }) => {
    const flow = new Flow();
    const words = flow.words;
    words[PROTO] = protoWord(family, l4proto, zone, 0);
    const width = family === 6 ? 4 : 1;
    words[ORIG_SRC + width - 1] = host;
    words[ORIG_DST + width - 1] = 9;
    words[ORIG_PORTS] = port;
    words[HAS] = HAS_REPLY;
    for (let i = 0; i < width; i++) {
      words[REPLY_SRC + i] = reply[i];
      words[REPLY_DST + i] = reply[4 + i];
    }
    words[REPLY_PORTS] = reply[8];
    for (const [index, [from, end, bit]] of RANGES.entries())
      if (has[index]) give(flow, bit, from, ...values.slice(from, end));
    return flow;
  });

/** The key as text: two flows have the same one exactly if they are the same flow. */
export const keyOf = (flow: Flow): string => flow.words.subarray(0, ORIG_PORTS + 1).join(" ");
