/**
 * Two 32-bit hashes of an expectation that come out alike on both sides of the wire, as digest.ts has them of a flow: of what
 * tells it apart from others, and of all that is replicated of it. The time that is left is not among that, nor what its
 * message has no place for.
 */
import { finish, mix } from "./digest.ts";
import type { Expectation, ExpectationTuple } from "./expectation.ts";
import { hasPorts, IPPROTO_UDPLITE } from "./flow.ts";

const SEED = 0x65787074;
/** The longest name of a function that is sent. */
const FN_MAX_CHARACTERS = 27;

/** Hash of master, expected tuple and mask, as an unsigned 32-bit number. */
export function expectationKeyDigest({ master, expected, mask }: Expectation): number {
  // Whether ports are sent, the master's protocol decides for all three.
  const ports = hasPorts(master.l4proto) && master.l4proto !== IPPROTO_UDPLITE;
  return finish([master, expected, mask].reduce((hash, tuple) => mixTuple(hash, tuple, ports), SEED));
}

/** Hash of the whole, of an expectation whose key has the hash `key`; never 0. */
export function expectationDigest({ flags, class: kind, nat, helper, expectfn }: Expectation, key: number): number {
  let hash = mix(mix(key, flags), kind);
  if (nat !== undefined) hash = mix(mixTuple(hash, nat.tuple, true), nat.direction === "orig" ? 1 : 2);
  hash = mixText(hash, helper);
  return finish(mixText(hash, (expectfn?.length ?? 0) > FN_MAX_CHARACTERS ? undefined : expectfn)) || 1;
}

function mixTuple(
  hash: number,
  { family, source, destination, l4proto, ports }: ExpectationTuple,
  named: boolean,
): number {
  hash = mix(hash, (family << 8) | l4proto);
  for (let i = 0; i < (family === 6 ? 4 : 1); i++) hash = mix(mix(hash, source[i]), destination[i]);
  return named ? mix(hash, ports) : hash;
}

function mixText(hash: number, text = ""): number {
  for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i));
  return mix(hash, text.length);
}
