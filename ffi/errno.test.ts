import { expect, test } from "bun:test";
import { Errno, errnoName, errnoText, negative } from "./errno.ts";
import { close } from "./libc.ts";
import { receive } from "./socket.ts";

test("errno is that of the call just made, however hot and garbage-ridden its caller", () => {
  const into = new Uint8Array(new ArrayBuffer(64));
  let wrong = 0;
  let garbage: unknown[] = [];
  for (let i = 0; i < 500_000; i++) {
    // Descriptor 0 is no socket, 9999 is not open: two errors in turn, so a stale one shows.
    const odd = (i & 1) === 1;
    if (receive(odd ? 9999 : 0, into) !== (odd ? -Errno.EBADF : -Errno.ENOTSOCK)) wrong++;
    garbage.push({ i });
    if (garbage.length === 10_000) garbage = [];
  }
  expect(wrong).toBe(0);
});

test("a success is passed on, a failure becomes -errno", () => {
  expect(negative(7)).toBe(7);
  expect(negative(0)).toBe(0);
  expect(close(9999)).toBe(-Errno.EBADF);
});

test("an error has a name and a sentence, whichever sign it comes with", () => {
  expect(errnoName(-Errno.ENOBUFS)).toBe("ENOBUFS");
  expect(errnoName(Errno.ENOBUFS)).toBe("ENOBUFS");
  expect(errnoName(-9999)).toBe("errno 9999");
  expect(errnoText(-Errno.EPERM)).toBe("Operation not permitted");
});
