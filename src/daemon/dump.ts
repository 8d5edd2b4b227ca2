/** A cache as lines of text, a slice a turn of the loop, at the pace of whoever reads them. */
import { Flow } from "../flow/flow.ts";
import { flowJson } from "../flow/json.ts";
import { flowLine } from "../flow/text.ts";
import { monotonicMs } from "./clock.ts";
import type { Node } from "./node.ts";

/** What the internal and the external cache have in common. */
interface Cache {
  nextLive(from: number): number;
  read(slot: number, flow: Flow, nowMs: number): void;
  ageSeconds(slot: number, nowMs: number): number;
}

/** Turning lines into a chunk and handing that on takes about as long again. */
const SLICE_MS = 1;
const FLOWS_PER_LOOK = 32;

/** The cache's lines; `nextTurn` is awaited before each slice, so that replication goes on in between. */
export function dumpStream(
  node: Node,
  which: "internal" | "external",
  format: "text" | "json",
  nextTurn: () => Promise<void>,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const cache: Cache = node.replica[which];
  const line = format === "json" ? flowJson : flowLine;
  const encoder = new TextEncoder();
  const flow = new Flow();
  let slot = cache.nextLive(0);
  return new ReadableStream({
    async pull(controller) {
      await nextTurn();
      let text = "";
      const endMs = monotonicMs() + SLICE_MS;
      for (let flows = 0; slot >= 0; slot = cache.nextLive(slot + 1)) {
        const nowMs = monotonicMs();
        if (flows++ % FLOWS_PER_LOOK === 0 && nowMs >= endMs) break;
        cache.read(slot, flow, nowMs);
        text += `${line(flow, cache.ageSeconds(slot, nowMs))}\n`;
      }
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (slot >= 0) return;
      ended();
      controller.close();
    },
    cancel: ended,
  });
}
