/**
 * Which flows are not synchronised: those of the firewall itself, and those the configuration names by address.
 *
 * A flow is ignored when its original source or its reply source is ignored. These two are its real ends: a forwarded
 * flow that is translated to an address of the firewall has that address as reply destination (SNAT) or original
 * destination (DNAT) only, and is synchronised; a session with the firewall itself has it as a source.
 *
 * What no router forwards is the firewall's own affair too: loopback, and multicast that stays on its link, such as the
 * other firewall's VRRP advertisements and routing daemons' greetings (the group is the reply source).
 */
import { familyOf, ORIG_SRC, PROTO, REPLY_SRC } from "../flow/flow.ts";

/** `words` as in a flow; `prefixBits` leading bits count. */
export interface Network {
  readonly family: 4 | 6;
  readonly words: ArrayLike<number>;
  readonly prefixBits: number;
}

const NEVER_FORWARDED: readonly Network[] = [
  { family: 4, words: [0x7f000000], prefixBits: 8 }, // 127.0.0.0/8
  { family: 4, words: [0xe0000000], prefixBits: 24 }, // 224.0.0.0/24: RFC 5771, "local network control block"
  { family: 6, words: [0, 0, 0, 1], prefixBits: 128 }, // ::1
  { family: 6, words: [0xff020000, 0, 0, 0], prefixBits: 16 }, // ff02::/16: RFC 4291, "link-local scope"
];

export class AddressFilter {
  readonly #configured: readonly Network[];
  /** IPv4: masks in use, and for each the networks under it. */
  #masks4: number[] = [];
  #networks4: Set<number>[] = [];
  /** IPv6: four mask words and four address words for each network. */
  #networks6 = new Uint32Array(0);

  constructor(configured: readonly Network[]) {
    this.#configured = configured;
    this.setOwn([]);
  }

  /** Replaces the addresses of this machine and of the link. */
  setOwn(own: readonly Network[]): void {
    const byMask = new Map<number, Set<number>>();
    const wide: number[] = [];
    for (const network of [...NEVER_FORWARDED, ...this.#configured, ...own]) {
      const masks = maskWords(network.prefixBits);
      if (network.family === 6) {
        wide.push(...masks);
        for (let i = 0; i < 4; i++) wide.push((network.words[i] & masks[i]) >>> 0);
        continue;
      }
      const networks = byMask.get(masks[0]) ?? new Set();
      byMask.set(masks[0], networks.add((network.words[0] & masks[0]) >>> 0));
    }
    this.#masks4 = [...byMask.keys()];
    this.#networks4 = [...byMask.values()];
    this.#networks6 = Uint32Array.from(wide);
  }

  /** Whether flows that begin or end at this address are ignored. */
  has({ family, words }: Pick<Network, "family" | "words">): boolean {
    return family === 6 ? this.#has6(words, 0) : this.#has4(words[0]);
  }

  ignores(words: Uint32Array): boolean {
    if (familyOf(words[PROTO]) === 6) return this.#has6(words, ORIG_SRC) || this.#has6(words, REPLY_SRC);
    return this.#has4(words[ORIG_SRC]) || this.#has4(words[REPLY_SRC]);
  }

  #has4(address: number): boolean {
    for (let i = 0; i < this.#masks4.length; i++)
      if (this.#networks4[i].has((address & this.#masks4[i]) >>> 0)) return true;
    return false;
  }

  #has6(words: ArrayLike<number>, at: number): boolean {
    const networks = this.#networks6;
    for (let i = 0; i < networks.length; i += 8) {
      let differing = 0;
      for (let w = 0; w < 4; w++) differing |= (words[at + w] & networks[i + w]) ^ networks[i + 4 + w];
      if (differing === 0) return true;
    }
    return false;
  }
}

/** Four words with the first `prefixBits` bits set. */
function maskWords(prefixBits: number): number[] {
  return [0, 32, 64, 96].map((before) => {
    const bits = Math.min(Math.max(prefixBits - before, 0), 32);
    return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  });
}
