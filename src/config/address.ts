/**
 * Addresses and networks as the configuration writes them, and as 32-bit words.
 *
 * Words are those of `flow.ts`: an IPv4 address fills the first word (10.0.9.1 is 0x0a000901) and leaves three at 0;
 * an IPv6 address is its four 32-bit groups in order.
 */
import ipaddr from "ipaddr.js";
import { type Result, refuse, succeed } from "../result.ts";

export type Words = readonly [number, number, number, number];

export interface Address {
  readonly family: 4 | 6;
  readonly words: Words;
  /** Canonical text without a zone: what sockets, messages and logs show. */
  readonly text: string;
  /** Interface of a link-local address, as written after the `%`. */
  readonly zone?: string;
}

export interface Cidr {
  readonly family: 4 | 6;
  readonly words: Words;
  /** Leading bits that count: 0 to 32, or to 128. */
  readonly prefixBits: number;
  readonly text: string;
}

const word = (bytes: readonly number[], at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;

const wordsOf = (bytes: readonly number[]): Words =>
  bytes.length === 4 ? [word(bytes, 0), 0, 0, 0] : [word(bytes, 0), word(bytes, 4), word(bytes, 8), word(bytes, 12)];

/** One host address, IPv4 in four decimal parts or IPv6, the latter with an optional `%zone`. */
export function parseAddress(text: string): Result<Address> {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    const address = ipaddr.IPv4.parse(text);
    return succeed({ family: 4, words: wordsOf(address.toByteArray()), text: address.toString() });
  }
  if (!ipaddr.IPv6.isValid(text)) return refuse("not an IPv4 or IPv6 address");
  const address = ipaddr.IPv6.parse(text);
  if (address.isIPv4MappedAddress()) {
    return refuse(`an IPv4 address in IPv6 clothes: write it as "${address.toIPv4Address().toString()}"`);
  }
  const plain = {
    family: 6 as const,
    words: wordsOf(address.toByteArray()),
    text: new ipaddr.IPv6(address.parts).toRFC5952String(),
  };
  return succeed(address.zoneId === undefined ? plain : { ...plain, zone: address.zoneId });
}

/** A network, `address/prefix`, or one address, which is a network of its own. */
export function parseCidr(text: string): Result<Cidr> {
  const slash = text.lastIndexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address.ok) return slash < 0 ? address : refuse(address.error.replace(/^not an/, "not a network: no"));
  const { family, words, zone } = address.value;
  if (zone !== undefined) return refuse("flows carry no zone of this kind: leave out the % and what follows");
  const bitsMax = family === 4 ? 32 : 128;
  if (slash < 0) return succeed({ family, words, prefixBits: bitsMax, text: address.value.text });

  const prefix = text.slice(slash + 1);
  const prefixBits = Number(prefix);
  if (!/^\d{1,3}$/.test(prefix) || prefixBits > bitsMax) {
    return refuse(`the prefix length of an IPv${family} network is 0 to ${bitsMax}`);
  }
  const network = maskWords(words, family, prefixBits);
  if (network.some((part, index) => part !== words[index])) {
    const networkText = `${addressText(family, network)}/${prefixBits}`;
    return refuse(
      `an address and a network in one: write "${networkText}" for the network, "${address.value.text}" for the address`,
    );
  }
  return succeed({ family, words, prefixBits, text: `${address.value.text}/${prefixBits}` });
}

function maskWords(words: Words, family: 4 | 6, prefixBits: number): Words {
  const kept = (index: number): number => {
    const bits = Math.min(32, Math.max(0, prefixBits - index * 32));
    return bits === 0 ? 0 : (words[index] & (0xffffffff << (32 - bits))) >>> 0;
  };
  return family === 4 ? [kept(0), 0, 0, 0] : [kept(0), kept(1), kept(2), kept(3)];
}

function addressText(family: 4 | 6, words: Words): string {
  const bytes = (family === 4 ? words.slice(0, 1) : words).flatMap((part) => [
    part >>> 24,
    (part >>> 16) & 0xff,
    (part >>> 8) & 0xff,
    part & 0xff,
  ]);
  return family === 4 ? new ipaddr.IPv4(bytes).toString() : new ipaddr.IPv6(bytes).toRFC5952String();
}

/** Why `address` cannot be one end of a link, or undefined when it can. */
export function unfitForLink(address: Address): string | undefined {
  const first = address.words[0];
  if (address.words.every((part) => part === 0)) return "the unspecified address names no host";
  if (address.family === 4) {
    if (first >>> 28 === 0xe) return "a multicast address is no end of a UDP link";
    if (first === 0xffffffff) return "the broadcast address is no end of a UDP link";
    return undefined;
  }
  if (first >>> 24 === 0xff) return "a multicast address is no end of a UDP link";
  if (isLinkLocal(address) && address.zone === undefined) {
    return `a link-local address needs its interface: write "${address.text}%INTERFACE"`;
  }
  return undefined;
}

/** fe80::/10, which means something on one interface only. */
export const isLinkLocal = ({ family, words }: Pick<Address, "family" | "words">): boolean =>
  family === 6 && words[0] >>> 22 === 0x3fa;
