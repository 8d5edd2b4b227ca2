/**
 * Datagrams of a sealed link: those that the peer never sealed so are refused, each for one reason, and change nothing; those
 * that it did seal are read by the decoders behind the seal, which hear of extension messages and attributes too.
 */
import type { Random } from "../sim/random.ts";
import { trueTraffic } from "./datagram.ts";
import { DatagramLife } from "./datagram-life.ts";
import { pick, randomBytes } from "./mutate.ts";
import { hostileClear } from "./sealed-corpus.ts";
import { CHANGE_KINDS, SealedWay, SOURCES } from "./sealed-way.ts";
import type { Life, Step, Target } from "./target.ts";

/** Clear ones, behind the seal. */
const CLEAR = ["far", "near", "expectation", "extension"];
const FORGED = "forged";

class SealedLife implements Life {
  readonly #way = new SealedWay();
  readonly #life: DatagramLife;
  #forgedMs = 0;

  constructor(established: boolean) {
    this.#life = new DatagramLife(established, this.#way);
  }

  apply(step: Step): string {
    if (step.kind === FORGED) return this.#way.forged(step.bytes, ++this.#forgedMs);
    if (step.kind === "rekey") return this.#way.rekey(step.bytes[0] ?? 0);
    return this.#life.apply(step);
  }

  end(): void {
    this.#life.end();
  }
}

export const sealedTarget: Target = {
  name: "sealed",
  steps: 1_000,
  cases: ({ kind }) => (kind === FORGED || CLEAR.includes(kind) ? 1 : 0),
  flavours: 2,
  begin: (flavour) => new SealedLife(flavour === 1),
  make(random: Random, kept: readonly Step[]): Step {
    const dice = random.below(100);
    if (dice < 30) {
      const recipe = Uint8Array.of(random.below(SOURCES), random.below(CHANGE_KINDS), ...randomBytes(random, 2));
      return { kind: FORGED, bytes: Uint8Array.from([...recipe, ...randomBytes(random, random.below(48))]) };
    }
    if (dice < 80) {
      const old = kept.length > 0 ? pick(random, kept) : undefined;
      const datagram = hostileClear(random, old !== undefined && CLEAR.includes(old.kind) ? [old.bytes] : []);
      return {
        kind: dice < 35 ? "far" : dice < 68 ? "near" : dice < 72 ? "expectation" : "extension",
        bytes: datagram,
      };
    }
    if (dice < 82) return { kind: "rekey", bytes: randomBytes(random, 1) };
    return trueTraffic(random);
  },
};
