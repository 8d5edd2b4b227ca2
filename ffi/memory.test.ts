import { toArrayBuffer } from "bun:ffi";
import { expect, test } from "bun:test";
import { addressOf, pinned, storeAddress } from "./memory.ts";

test("the address of pinned memory stays true while its caller gets hot and the heap is collected", () => {
  const memory = [pinned(4), pinned(64), pinned(100_000)];
  const addresses = memory.map((bytes) => addressOf(bytes));
  const seen = memory.map((bytes, i) => new Uint8Array(toArrayBuffer(addresses[i], 0, bytes.length)));
  let wrong = 0;
  for (let round = 0; round < 200_000; round++) {
    for (let i = 0; i < memory.length; i++) {
      memory[i][round & 3] = round;
      if (seen[i][round & 3] !== (round & 0xff) || addressOf(memory[i]) !== addresses[i]) wrong++;
    }
    if (round % 20_000 === 0) Bun.gc(true);
  }
  expect(wrong).toBe(0);
});

test("an address is stored as C reads it: 64 bits, little-endian", () => {
  const memory = pinned(16);
  const view = new DataView(memory.buffer);
  const address = addressOf(memory, 8);
  storeAddress(view, 0, address);
  expect(view.getBigUint64(0, true)).toBe(BigInt(address));
});
