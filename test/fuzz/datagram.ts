/** Datagrams of an open link: whatever is said in the peer's name, its replica lives on and understands the true peer. */
import type { Random } from "../sim/random.ts";
import { DatagramLife } from "./datagram-life.ts";
import { kernelMessages, mutateConntrack } from "./kernel-corpus.ts";
import { pick, randomBytes } from "./mutate.ts";
import type { Step, Target } from "./target.ts";
import { hostileDatagram } from "./wire-corpus.ts";

const HOSTILE = ["far", "near", "expectation"];

export const datagramTarget: Target = {
  name: "datagram",
  steps: 2_000,
  cases: ({ kind }) => (HOSTILE.includes(kind) ? 1 : 0),
  flavours: 2,
  begin: (flavour) => new DatagramLife(flavour === 1),
  make(random: Random, kept: readonly Step[]): Step {
    const dice = random.below(100);
    if (dice < 70) {
      const old = kept.length > 0 ? pick(random, kept) : undefined;
      const datagram = hostileDatagram(random, old !== undefined && HOSTILE.includes(old.kind) ? [old.bytes] : []);
      return { kind: dice < 20 ? "far" : dice < 64 ? "near" : "expectation", bytes: datagram };
    }
    return trueTraffic(random);
  },
};

/** What both nodes do of themselves meanwhile. */
export function trueTraffic(random: Random): Step {
  const dice = random.below(30);
  if (dice < 15) {
    const message = mutateConntrack(pick(random, kernelMessages), random);
    return { kind: dice < 10 ? "peer's kernel" : "victim's kernel", bytes: message };
  }
  if (dice === 29) return { kind: "ask", bytes: randomBytes(random, 1) };
  return {
    kind: "talk",
    bytes: randomBytes(random, 2).map((byte, i) => (i === 0 ? byte & 63 : byte & (byte >> 3))),
  };
}
