/**
 * How long each flow took from its birth in the kernel to the first datagram that names it.
 *
 * Where nf_conntrack_timestamp is on, the kernel keeps the moment of each entry's creation, in wall-clock nanoseconds, and
 * its event is made right after. A capture of the sync link is stamped by the same clock.
 * Source: linux/netfilter/nfnetlink_conntrack.h (ctattr_tstamp).
 */
import * as f from "../../src/flow/flow.ts";
import { DECODED, decodeConntrack } from "../../src/kernel/ctnetlink.ts";
import { CTNETLINK_HEADER_BYTES } from "../../src/kernel/ctnetlink-attributes.ts";
import { ATTRIBUTE_HEADER_BYTES, attributeEnd, attributeType, nextAttribute } from "../../src/kernel/netlink.ts";
import { decodeFlow } from "../../src/wire/decode.ts";
import { dumpTable } from "../lab/kernel-dump.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { Datagram } from "./pcap.ts";
import { flowMessages } from "./wire-capture.ts";

const CTA_TIMESTAMP = 20;
const CTA_TIMESTAMP_START = 1;

/** By the wall clock, in whole milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Latencies in µs, ascending, of the flows born in the span. Throws when the wire never named one of them. */
export function latencySamples(namespace: Namespace, capture: readonly Datagram[], span: Span): Float64Array {
  const births = birthsIn(namespace, span);
  const samples = new Float64Array(births.size);
  const flow = new f.Flow();
  let found = 0;
  for (const datagram of capture) {
    for (const { at, lengthBytes } of flowMessages(datagram)) {
      if (decodeFlow(datagram.view, at, lengthBytes, flow) !== "ok") throw new Error("a message that names no flow");
      const key = keyOf(flow.words);
      const bornNs = births.get(key);
      if (bornNs === undefined) continue;
      births.delete(key);
      samples[found++] = Number(datagram.atNs - bornNs) / 1000;
    }
  }
  if (births.size > 0) throw new Error(`${births.size} of ${samples.length} flows were not seen on the wire`);
  return samples.sort();
}

/** Source address and port: the generator changes nothing else. */
const keyOf = (words: Uint32Array): number => words[f.ORIG_SRC] * 65_536 + (words[f.ORIG_PORTS] >>> 16);

function birthsIn(namespace: Namespace, { fromMs, toMs }: Span): Map<number, bigint> {
  const births = new Map<number, bigint>();
  const { words } = new f.Flow();
  dumpTable(namespace, (view, at, end) => {
    if (decodeConntrack(view, at, end, words) !== DECODED) throw new Error("an entry that cannot be read");
    const bornNs = birth(view, at, end);
    const bornMs = Number(bornNs / 1_000_000n);
    if (bornMs >= fromMs && bornMs < toMs) births.set(keyOf(words), bornNs);
  });
  return births;
}

function birth(view: DataView, message: number, end: number): bigint {
  const timestamp = find(view, message + CTNETLINK_HEADER_BYTES, end, CTA_TIMESTAMP);
  const start = find(view, timestamp.at, timestamp.end, CTA_TIMESTAMP_START);
  return view.getBigUint64(start.at);
}

/** Payload of the attribute of that type. */
function find(view: DataView, at: number, end: number, type: number): { at: number; end: number } {
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) break;
    if (attributeType(view, at) === type) return { at: at + ATTRIBUTE_HEADER_BYTES, end: payloadEnd };
    at = nextAttribute(at, payloadEnd);
  }
  throw new Error(`the kernel's entry has no attribute ${type}: is nf_conntrack_timestamp on?`);
}
