/**
 * Whether what the nodes hold is what it should be once all has arrived; the first difference in words, or nothing.
 *
 *   internal cache   the node's kernel, no more, no less
 *   external cache   all that the primary's kernel has, and all that is the other machines' own; nothing besides but what
 *                    a former primary's kernel still has and tells
 *   sessions         nothing waits, nothing that was asked is unanswered, of every end every peer knows
 */
import { DEAD } from "../../src/cache/internal.ts";
import { Flow } from "../../src/flow/flow.ts";
import type { Replica } from "../../src/replica.ts";
import { describeFlow, flowDigest, idOf } from "./digest.ts";
import type { Node } from "./node.ts";
import { siteOf, type World } from "./world.ts";

export function firstDifference(world: World): string | undefined {
  const kernels = world.nodes.map(kernelDigests);
  for (const node of world.nodes) {
    const { replica } = node;
    if (replica === undefined) return `node ${node.index} is down`;
    const found =
      unsettled(replica) ??
      compareInternal(replica, kernels[node.index], world) ??
      compareExternal(world, node, replica, kernels) ??
      announcedByBoth(world, node);
    if (found !== undefined) return `node ${node.index}: ${found}`;
  }
  return undefined;
}

/** What an extended node does not know to be equal since then, in words. */
export function firstUnproven({ nodes, settings }: World, sinceMs: number): string | undefined {
  if (!settings.isExtended) return undefined;
  for (const { index, replica } of nodes)
    for (const peer of replica?.sessions.keys() ?? []) {
      const proof = replica?.proof(peer);
      if (proof === undefined || (proof.equalMs >= sinceMs && proof.differing === 0)) continue;
      return `node ${index} has no proof for its peer ${peer}: ${JSON.stringify(proof)}`;
    }
  return undefined;
}

/**
 * What a proof of equality says and is not so: after the last packet, with nothing on its way, what was equal since stays
 * equal. With two nodes alone all that an external cache holds is of one peer.
 */
export function falseProof({ nodes, settings, nowMs }: World, sinceMs: number): string | undefined {
  if (!settings.isExtended || nodes.length > 2) return undefined;
  for (const { index, replica } of nodes) {
    const other = nodes[1 - index].replica;
    if (replica === undefined || other === undefined || unsettled(replica) !== undefined) continue;
    const { equalMs, differing, leftovers } = replica.proof(0);
    if (equalMs < sinceMs || differing > 0 || replica.sessions[0].unacknowledged > 0) continue;
    const held = new Map<number, number>();
    for (let slot = other.external.nextLive(0); slot >= 0; slot = other.external.nextLive(slot + 1)) {
      other.external.read(slot, flow, nowMs);
      held.set(idOf(flow.words), flowDigest(flow));
    }
    let count = 0;
    for (let slot = replica.internal.nextLive(0); slot >= 0; slot = replica.internal.nextLive(slot + 1)) {
      replica.internal.read(slot, flow, nowMs);
      if (held.get(idOf(flow.words)) !== flowDigest(flow)) return `node ${index} is wrong about ${describeFlow(flow)}`;
      count++;
    }
    // What a peer told before it started anew stays for a while, and the proof says so.
    if (leftovers === 0 && count !== held.size)
      return `node ${index} is wrong about ${held.size - count} flows that its peer alone has`;
  }
  return undefined;
}

/** Two extended nodes never both announce a flow for long. */
function announcedByBoth({ nodes, settings }: World, { index, replica }: Node): string | undefined {
  const other = nodes.length === 2 && settings.isExtended ? nodes[1 - index].replica : undefined;
  if (replica === undefined || other === undefined) return undefined;
  const { internal } = replica;
  for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
    internal.read(slot, flow, 0);
    const theirs = other.internal.find(flow);
    if (theirs >= 0 && other.internal.lifeOf(theirs) !== DEAD) return `${describeFlow(flow)} is announced by both`;
  }
  return undefined;
}

type Digests = ReadonlyMap<number, number>;

const flow = new Flow();

function kernelDigests(node: Node): Digests {
  const digests = new Map<number, number>();
  for (const [id, entry] of node.kernel.flows) digests.set(id, flowDigest(entry));
  return digests;
}

function unsettled({ internal, sessions }: Replica): string | undefined {
  if (internal.deadCount > 0) return `${internal.deadCount} ends are not acknowledged`;
  for (const [peer, session] of sessions.entries()) {
    if (session.queued > 0) return `${session.queued} flows wait to be sent to peer ${peer}`;
    if (!session.bulkDone) return `a bulk to peer ${peer} has no end`;
    if (!session.requestDone) return `peer ${peer} owes an answer`;
  }
  return undefined;
}

function compareInternal({ internal, external }: Replica, kernel: Digests, world: World): string | undefined {
  const told = new Set<number>();
  for (let slot = internal.nextLive(0); slot >= 0; slot = internal.nextLive(slot + 1)) {
    internal.read(slot, flow, world.nowMs);
    const id = idOf(flow.words);
    told.add(id);
    if (kernel.get(id) !== flowDigest(flow)) return `the internal cache has ${describeFlow(flow)}, the kernel has not`;
  }
  for (let slot = external.nextLive(0); world.settings.isExtended && slot >= 0; slot = external.nextLive(slot + 1)) {
    external.read(slot, flow, world.nowMs);
    told.add(idOf(flow.words)); // A flow in two kernels is announced by one of them alone.
  }
  const missing = [...kernel.keys()].find((id) => !told.has(id));
  return missing === undefined ? undefined : `flow ${missing} of the kernel is not in the internal cache`;
}

function compareExternal(world: World, node: Node, { external }: Replica, kernels: Digests[]): string | undefined {
  const primary = world.primary === undefined ? -1 : world.primary.index;
  const known = new Set<number>();
  for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
    external.read(slot, flow, world.nowMs);
    const id = idOf(flow.words);
    const digest = flowDigest(flow);
    known.add(id);
    const authority = primary !== node.index ? kernels[primary]?.get(id) : undefined;
    if (authority !== undefined ? authority === digest : anotherHas(kernels, node.index, id, digest)) continue;
    return `the external cache has ${describeFlow(flow)}, which no other node has: ${world.nodes.map((other) => shown(other, id)).join(", ")}`;
  }
  for (const [index, kernel] of kernels.entries()) {
    if (index === node.index) continue;
    for (const id of kernel.keys())
      if ((index === primary || siteOf(id) === index) && !known.has(id))
        return `flow ${id} of node ${index} is missing in the external cache`;
  }
  return undefined;
}

const anotherHas = (kernels: Digests[], but: number, id: number, digest: number): boolean =>
  kernels.some((kernel, index) => index !== but && kernel.get(id) === digest);

function shown({ index, kernel }: Node, id: number): string {
  const entry = kernel.flows.get(id);
  return `node ${index} has ${entry === undefined ? "none" : describeFlow(entry)}`;
}
