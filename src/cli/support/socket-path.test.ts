import { expect, test } from "bun:test";
import { socketIn } from "./socket-path.ts";

test.each([
  ["a good file", '[control]\nsocket = "/a"\n', "/a"],
  ["a file whose other settings are nonsense", 'nonsense = 1\n[sync]\nmode = 7\n[control]\nsocket = "/a"\n', "/a"],
  [
    "a file that is no TOML",
    '[sync]\nmode = ftfw\n[control]\n# here\n\nother = 1\n  socket="/a" # there\n[log]\n',
    "/a",
  ],
  ["no TOML, with the socket of another table", '[sync]\nmode = ftfw\n[control]\n[other]\nsocket = "/a"\n', undefined],
  ["no TOML, and no socket", "[sync]\nmode = ftfw\n", undefined],
  ["no control table", "[sync]\n", undefined],
  ["a socket that is no text", "[control]\nsocket = 7\n", undefined],
  ["an empty file", "", undefined],
])("the socket of %s", (_, text, socket) => {
  expect(socketIn(text)).toBe(socket);
});
