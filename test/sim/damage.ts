/** Damage to an external cache behind its replica's back: flows are gone, altered, or there though nobody told of them. */
import { Flow, HAS, HAS_MARK, MARK, ORIG_SRC, STATUS } from "../../src/flow/flow.ts";
import type { Node } from "./node.ts";
import type { World } from "./world.ts";

/** Flows that nobody told of have numbers that are so much higher. */
export const GHOSTS = 0x01000000;

/** Damages so many flows at most; how many it were. */
export function damage({ random, nowMs }: World, node: Node, flowsMax: number): number {
  if (node.replica === undefined) return 0;
  const { external } = node.replica;
  const { create } = Object.getPrototypeOf(external) as typeof external; // The cache itself is watched.
  const flow = new Flow();
  let damaged = 0;
  for (let slot = external.nextLive(0); slot >= 0 && damaged < flowsMax; slot = external.nextLive(slot + 1)) {
    if (random.percent(30)) continue;
    external.read(slot, flow, nowMs);
    const peer = random.below(node.replica.sessions.length); // Who told of it may be damaged too.
    const what = random.below(4);
    if (what === 0) external.remove(slot);
    else if (what === 1) flow.words[STATUS] ^= 4;
    else if (what === 2) {
      flow.words[MARK] += 1_000;
      flow.words[HAS] |= HAS_MARK;
    } else flow.words[ORIG_SRC] += GHOSTS;
    if (what === 0 || create.call(external, flow, nowMs, peer)) damaged++;
  }
  node.damagedMs = nowMs;
  return damaged;
}
