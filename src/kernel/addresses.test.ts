import { expect, test } from "bun:test";
import { type OwnAddress, readAddresses } from "./addresses.ts";

/** Header of so many bytes and of this type, then a 32-bit number. */
function ending(type: number, lengthBytes: number, value: number): DataView {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint32(0, lengthBytes, true);
  view.setUint16(4, type, true);
  view.setInt32(16, value, true);
  return view;
}

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const ENOMEM = 12;
const EPROTO = 71;

test.each([
  ["the end", NLMSG_DONE, 20, 0, 1],
  ["an end without a number", NLMSG_DONE, 16, -ENOMEM, 1],
  ["an end that says the dump failed", NLMSG_DONE, 20, -ENOMEM, -ENOMEM],
  ["an error", NLMSG_ERROR, 20, -ENOMEM, -ENOMEM],
  ["an error that is none", NLMSG_ERROR, 20, 0, -EPROTO],
  ["an error above zero, which no dump's end is", NLMSG_ERROR, 20, 1, -EPROTO],
  ["an error without a number", NLMSG_ERROR, 16, -ENOMEM, -EPROTO],
  ["a length that lies", NLMSG_DONE, 21, 0, -EPROTO],
])("a list of addresses: %s", (_, type, lengthBytes, value, answer) => {
  const found: OwnAddress[] = [];
  const view = ending(type, lengthBytes, value);
  expect(readAddresses(view, lengthBytes === 16 ? 16 : 20, found)).toBe(answer);
  expect(found).toEqual([]);
});
