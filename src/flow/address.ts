/**
 * Addresses as text. An address is four 32-bit words in host order from `at` on: IPv4 uses the first only.
 *
 * IPv6 follows RFC 5952, and where that leaves a choice it prints what inet_ntop(3) of glibc prints, since conntrackd's
 * lines are compared with ours: lower case, the longest run of two or more zero groups (the first of equals) as `::`,
 * and the last 32 bits dotted behind ::ffff: or behind six zero groups.
 */
const OCTETS: readonly string[] = Array.from({ length: 256 }, (_, octet) => String(octet));
const OCTETS_DOT: readonly string[] = OCTETS.map((octet) => `${octet}.`);

const ipv4Text = (address: number): string =>
  OCTETS_DOT[address >>> 24] +
  OCTETS_DOT[(address >>> 16) & 0xff] +
  OCTETS_DOT[(address >>> 8) & 0xff] +
  OCTETS[address & 0xff];

export const addressText = (words: ArrayLike<number>, at: number, family: number): string =>
  family === 6 ? ipv6Text(words, at) : ipv4Text(words[at]);

const group = (words: ArrayLike<number>, at: number, index: number): number =>
  (words[at + (index >> 1)] >>> ((index & 1) === 0 ? 16 : 0)) & 0xffff;

function ipv6Text(words: ArrayLike<number>, at: number): string {
  let runFrom = -1;
  let runLength = 1; // One zero group alone is written out.
  for (let i = 0; i < 8; i++) {
    let zeros = 0;
    while (i + zeros < 8 && group(words, at, i + zeros) === 0) zeros++;
    if (zeros > runLength) {
      runFrom = i;
      runLength = zeros;
    }
    i += zeros;
  }
  const mapped = runFrom === 0 && (runLength === 6 || (runLength === 5 && group(words, at, 5) === 0xffff));
  if (mapped) return (runLength === 6 ? "::" : "::ffff:") + ipv4Text(words[at + 3]);
  let text = "";
  for (let i = 0; i < 8; i++) {
    if (i === runFrom) {
      text += "::";
      i += runLength - 1;
      continue;
    }
    if (i > 0 && i !== runFrom + runLength) text += ":";
    text += group(words, at, i).toString(16);
  }
  return text;
}
