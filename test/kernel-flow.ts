/** Flows as a kernel reports them, for properties of codecs. */
import fc from "fast-check";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_PORTS,
  HAS_REPLY,
  HAS_STATE,
  HAS_STATUS,
  HAS_VTAGS,
  HAS_WSCALE,
  hasPorts,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  icmpWord,
  isIcmp,
  LABELS,
  MASTER_PORTS,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  STATUS,
  setHelperName,
  VTAG_ORIG,
  VTAG_REPLY,
} from "../src/flow/flow.ts";
import { deriveReply } from "../src/flow/reply.ts";
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "../src/flow/status.ts";
import { ATTRIBUTES, give, giveMaster } from "./make-flow.ts";

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const address = (family: number): fc.Arbitrary<number[]> =>
  family === 6 ? fc.array(uint32, { minLength: 4, maxLength: 4 }) : uint32.map((word) => [word, 0, 0, 0]);

/** A flow as the kernel reports it: both tuples, translated or not, and anything else known or unknown. */
export const kernelFlow: fc.Arbitrary<Flow> = fc
  .record({
    family: fc.constantFrom(4, 6),
    l4proto: fc.constantFrom(1, 6, 17, 33, 47, 50, 58, 132, 136, 200),
    icmpType: fc.constantFrom(8, 13, 17, 128, 139),
    labels: fc.array(fc.integer({ min: 0, max: 127 }), { maxLength: 3 }),
    helper: fc.stringMatching(/^[a-z0-9.-]{1,15}$/),
    translate: fc.record({ snat: fc.boolean(), dnat: fc.boolean(), ports: fc.boolean() }),
    zone: fc.record({ number: uint16, direction: fc.integer({ min: 0, max: 2 }) }),
    has: uint32,
    random: fc.array(uint32, { minLength: 64, maxLength: 64 }),
  })
  .chain((parts) => fc.tuple(fc.constant(parts), fc.array(address(parts.family), { minLength: 6, maxLength: 6 })))
  .map(([parts, addresses]) => {
    const flow = new Flow();
    const words = flow.words;
    const known = (bit: number): boolean => (parts.has & bit) !== 0;
    words[PROTO] = protoWord(parts.family, parts.l4proto, parts.zone.number, parts.zone.direction);
    words.set(addresses[0], ORIG_SRC);
    words.set(addresses[1], ORIG_DST);
    words[ORIG_PORTS] = isIcmp(parts.l4proto)
      ? icmpWord(parts.random[0] & 0xffff, parts.icmpType, 0)
      : parts.l4proto === 50 || parts.l4proto === 200
        ? 0
        : parts.random[0];
    deriveReply(words);
    words[HAS] = HAS_STATUS | HAS_REPLY | HAS_PORTS;
    words[STATUS] = parts.random[1] & 0xfe7f;
    if (parts.translate.snat) {
      words.set(addresses[2], REPLY_DST);
      words[STATUS] |= IPS_SRC_NAT_DONE;
      if (parts.translate.ports && hasPorts(parts.l4proto)) words[REPLY_PORTS] ^= parts.random[2] & 0xffff;
    }
    if (parts.translate.dnat) {
      words.set(addresses[3], REPLY_SRC);
      words[STATUS] |= IPS_DST_NAT_DONE;
      if (parts.translate.ports && hasPorts(parts.l4proto)) words[REPLY_PORTS] ^= parts.random[2] & 0xffff0000;
    }
    for (const [from, end, has] of [ATTRIBUTES.timeout, ATTRIBUTES.mark, ATTRIBUTES.seqadj, ATTRIBUTES.synproxy])
      if (known(has)) give(flow, has, from, ...parts.random.slice(from, end));
    setState(words, parts.l4proto, known(HAS_STATE), parts.random);
    if (known(HAS_MASTER)) {
      const ports = known(HAS_MASTER_PORTS) ? parts.random[MASTER_PORTS] : undefined;
      giveMaster(flow, protoWord(parts.family, IPPROTO_TCP, 0, 0), addresses[4], addresses[5], ports);
    }
    if (known(HAS_LABELS)) {
      words[HAS] |= HAS_LABELS;
      for (const label of parts.labels) words[LABELS + (label >> 5)] |= 1 << (label & 31);
    }
    if (known(HAS_HELPER)) {
      words[HAS] |= HAS_HELPER;
      setHelperName(words, parts.helper);
    }
    return flow;
  });

function setState(words: Uint32Array, l4proto: number, known: boolean, random: readonly number[]): void {
  if (!known || (l4proto !== IPPROTO_TCP && l4proto !== IPPROTO_SCTP && l4proto !== IPPROTO_DCCP)) return;
  words[HAS] |= HAS_STATE;
  words[INFO] = random[INFO] & 0xff;
  if (l4proto === IPPROTO_TCP) {
    words[HAS] |= HAS_WSCALE;
    words[INFO] = random[INFO] & 0xffffff;
  } else if (l4proto === IPPROTO_SCTP) {
    words[HAS] |= HAS_VTAGS;
    words[VTAG_ORIG] = random[VTAG_ORIG];
    words[VTAG_REPLY] = random[VTAG_REPLY];
  } else {
    words[INFO] = random[INFO] & 0xffff;
  }
}
