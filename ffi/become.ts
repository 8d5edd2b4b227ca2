/** Executing another program in this process, and the environment that it gets. Signatures: unistd.h, stdlib.h. */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { addressOf, pinned, storeAddress } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  execv: { args: ["cstring", "buffer"], returns: "i32" },
  setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" },
});

const POINTER_BYTES = 8;

/** For the program that this process becomes: `process.env` does not hear of it. 0, or -errno. */
export const setEnvironment = (name: string, value: string): number => negative(c.setenv(name, value, 1));

/** This process becomes that program, under the same pid, all its threads ended; returns only when it cannot: -errno. */
export function become(path: string, argv: readonly string[]): number {
  const words = argv.map((word) => Buffer.from(`${word}\0`));
  const text = pinned(words.reduce((sum, word) => sum + word.length, 0));
  const pointers = pinned(POINTER_BYTES * (argv.length + 1)); // The last one stays NULL.
  const view = new DataView(pointers.buffer);
  let at = 0;
  for (const [i, word] of words.entries()) {
    text.set(word, at);
    storeAddress(view, i * POINTER_BYTES, addressOf(text, at));
    at += word.length;
  }
  const answer = negative(c.execv(path, pointers));
  return text.length === at ? answer : 0; // So long is `text` referred to.
}
