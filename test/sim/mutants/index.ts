/** Faults of the protocol, each of which a simulator worth its name finds; by what they break. */
import type { Mutant } from "../mutate.ts";
import { BULK } from "./bulk.ts";
import { CACHES } from "./caches.ts";
import { HANDSHAKE } from "./handshake.ts";
import { OWNERSHIP } from "./ownership.ts";
import { PROOF } from "./proof.ts";
import { RECEIVING } from "./receiving.ts";
import { SENDING } from "./sending.ts";
import { SPLIT_BRAIN } from "./split-brain.ts";

export const MUTANTS: readonly Mutant[] = [
  ...RECEIVING,
  ...SENDING,
  ...BULK,
  ...HANDSHAKE,
  ...CACHES,
  ...PROOF,
  ...OWNERSHIP,
  ...SPLIT_BRAIN,
];
