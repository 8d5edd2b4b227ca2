/** How long a node says nothing about flows although there is something to say: the gaps in a capture under load. */
import { CT_DESTROY, HEADER_BYTES, headerLength, headerType } from "../../src/wire/header.ts";
import type { Datagram } from "./pcap.ts";

/** The longest time between two datagrams that carry flows, in milliseconds. */
export function longestGapMs(capture: readonly Datagram[]): number {
  const carrying = capture.filter(carriesFlows);
  let longestNs = 0n;
  for (let i = 1; i < carrying.length; i++) {
    const gapNs = carrying[i].atNs - carrying[i - 1].atNs;
    if (gapNs > longestNs) longestNs = gapNs;
  }
  if (longestNs === 0n) throw new Error("nothing was replicated while the sync link was watched");
  return Number(longestNs) / 1e6;
}

/** Headers tell, so the first bytes of each datagram are enough. */
function carriesFlows({ view, at, end }: Datagram): boolean {
  while (at + HEADER_BYTES <= end) {
    if (headerType(view, at) <= CT_DESTROY) return true;
    at += Math.max(headerLength(view, at), HEADER_BYTES);
  }
  return false;
}
