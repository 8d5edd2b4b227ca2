/** The message that nfnetlink_log sends for a packet. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KEY_WORDS, ORIG_PORTS, ORIG_SRC, portsWord } from "../flow/flow.ts";
import { CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import { MessageWriter } from "./message-writer.ts";
import { decodeLogged } from "./packet-log.ts";

const UDP = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 5, 0x9c, 0x40, 0, 53, 0, 8, 0, 0];

function logged(payload: readonly number[]): MessageWriter {
  const writer = new MessageWriter(512);
  writer.begin(4 << 8, 0, 0, 2);
  writer.u32(1, 0x08000200); // NFULA_PACKET_HDR
  writer.u32(4, 3); // NFULA_IFINDEX_INDEV
  writer.raw(8, [0, 6, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0]); // NFULA_HWADDR
  writer.raw(9, payload);
  writer.end();
  return writer;
}

test("the packet's tuple, wherever the packet lies among the attributes", () => {
  const { view, at } = logged(UDP);
  const words = new Uint32Array(KEY_WORDS);
  expect(decodeLogged(view, 0, at, words)).toBe(true);
  expect([words[ORIG_SRC], words[ORIG_PORTS]]).toEqual([0x0a000001, portsWord(40_000, 53)]);
});

test("a message without a packet, cut off, or with a length that lies has none, and nothing is read behind its end", () => {
  const words = new Uint32Array(KEY_WORDS);
  const { bytes, at } = logged(UDP);
  for (let end = 0; end < at; end++) {
    const view = new DataView(bytes.slice(0, end).buffer);
    expect(decodeLogged(view, 0, end, words)).toBe(false);
  }
  fc.assert(
    fc.property(
      fc.integer({ min: CTNETLINK_HEADER_BYTES, max: at - 1 }),
      fc.integer({ min: 0, max: 255 }),
      (i, byte) => {
        const damaged = bytes.slice(0, at);
        damaged[i] = byte;
        decodeLogged(new DataView(damaged.buffer), 0, at, words);
      },
    ),
  );
});
