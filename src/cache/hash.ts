/**
 * Keyed hash of a flow's identity: HalfSipHash-1-3 over its key words.
 *
 * Whoever sends packets through the firewall chooses tuples, so an unkeyed hash could be driven into one bucket. The key
 * is random and comes from the caller. IPv4 keys skip the six address words that are always zero.
 * Source: HalfSipHash as described by J.-P. Aumasson and D. J. Bernstein.
 */
import { familyOf, KEY_WORDS, ORIG_DST, ORIG_PORTS, ORIG_SRC, PROTO } from "../flow/flow.ts";

export class FlowHash {
  readonly #key0: number;
  readonly #key1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  constructor(key0: number, key1: number) {
    this.#key0 = key0 | 0;
    this.#key1 = key1 | 0;
  }

  /** Hash of the key in `words[0..9]`, as an unsigned 32-bit number. */
  of(words: Uint32Array): number {
    this.#v0 = this.#key0;
    this.#v1 = this.#key1;
    this.#v2 = this.#key0 ^ 0x6c796765;
    this.#v3 = this.#key1 ^ 0x74656462;
    if (familyOf(words[PROTO]) === 6) {
      for (let i = 0; i < KEY_WORDS; i++) this.#mix(words[i]);
    } else {
      this.#mix(words[PROTO]);
      this.#mix(words[ORIG_SRC]);
      this.#mix(words[ORIG_DST]);
      this.#mix(words[ORIG_PORTS]);
    }
    this.#v2 ^= 0xff;
    this.#round();
    this.#round();
    this.#round();
    return (this.#v1 ^ this.#v3) >>> 0;
  }

  #mix(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#v0 ^= word;
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}
