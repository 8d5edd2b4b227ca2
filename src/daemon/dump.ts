/** A cache as lines of text, a slice a turn of the loop, at the pace of whoever reads them. */
import { expectationJson, expectationLine } from "../flow/expectation-text.ts";
import { Flow } from "../flow/flow.ts";
import { flowJson } from "../flow/json.ts";
import { flowLine } from "../flow/text.ts";
import { monotonicMs } from "./clock.ts";
import type { Node } from "./node.ts";

/** A cache, as lines by slot; or, for ctsync drill, as the words of its flows. */
export interface Lines {
  nextLive(from: number): number;
  line(slot: number, nowMs: number): string | Uint8Array;
}

/** Turning lines into a chunk and handing that on takes about as long again. */
const SLICE_MS = 1;
const FLOWS_PER_LOOK = 32;

export function flowLines(node: Node, which: "internal" | "external", format: "text" | "json"): Lines {
  const cache = node.replica[which];
  const print = format === "json" ? flowJson : flowLine;
  const flow = new Flow();
  return {
    nextLive: (from) => cache.nextLive(from),
    line: (slot, nowMs) => {
      cache.read(slot, flow, nowMs);
      return print(flow, cache.ageSeconds(slot, nowMs));
    },
  };
}

export function expectationLines(node: Node, which: "internal" | "external", format: "text" | "json"): Lines {
  const cache = node.replica.expectations[which];
  const print = format === "json" ? expectationJson : expectationLine;
  return {
    nextLive: (from) => cache.nextLive(from),
    line: (slot, nowMs) => print(cache.read(slot, nowMs), cache.ageSeconds(slot, nowMs)),
  };
}

/** The external cache as its flows are unpacked: for the same version of ctsync on the same machine. */
export function externalWords(node: Node): Lines {
  const { external } = node.replica;
  const flow = new Flow();
  return {
    nextLive: (from) => external.nextLive(from),
    line: (slot, nowMs) => {
      external.read(slot, flow, nowMs);
      return new Uint8Array(flow.words.slice().buffer);
    },
  };
}

/** The cache's lines; `nextTurn` is awaited before each slice, so that replication goes on in between. */
export function dumpStream(lines: Lines, nextTurn: () => Promise<void>, ended: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let slot = lines.nextLive(0);
  return new ReadableStream({
    async pull(controller) {
      await nextTurn();
      if (slot >= 0) slot = lines.nextLive(slot); // It may have ended meanwhile.
      let text = "";
      const words: Uint8Array[] = [];
      const endMs = monotonicMs() + SLICE_MS;
      for (let flows = 0; slot >= 0; slot = lines.nextLive(slot + 1)) {
        const nowMs = monotonicMs();
        if (flows++ % FLOWS_PER_LOOK === 0 && nowMs >= endMs) break;
        const line = lines.line(slot, nowMs);
        if (typeof line === "string") text += `${line}\n`;
        else words.push(line);
      }
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (words.length > 0) controller.enqueue(Buffer.concat(words));
      if (slot >= 0) return;
      ended();
      controller.close();
    },
    cancel: ended,
  });
}
