import { expect, test } from "bun:test";
import { TestDaemon } from "../test-daemon.ts";
import { unreachable } from "./control.ts";
import { Silence, SilenceError } from "./silence.ts";

test("a daemon that says nothing is given up after the silence", async () => {
  const never = new Promise<never>(() => {});
  using daemon = new TestDaemon(() => new Response(new ReadableStream({ start: () => never })));
  const silence = new Silence(50);
  const asked = fetch("http://ctsync/v1/commit", { unix: daemon.socket, signal: silence.signal }).then((r) => r.text());
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SilenceError);
  expect(unreachable("/a", error)).toBe(
    "the daemon at /a has not answered for 60 seconds. Restart it with: systemctl restart ctsync",
  );
});

test("a daemon that is heard of in time is waited for", async () => {
  const silence = new Silence(200);
  const startMs = performance.now();
  while (performance.now() - startMs < 500) {
    silence.broken();
    await new Promise(setImmediate);
  }
  expect(silence.signal.aborted).toBeFalse();
  silence.over();
});

test.each([
  ["ENOENT", "there is no socket /a. Start it"],
  ["ECONNREFUSED", "nobody listens on /a. Start it"],
  ["EACCES", "permission denied on /a. Run ctsync as root"],
  ["ENAMETOOLONG", "at most 107 bytes"],
  ["ECONNRESET", "broke before it was done (ECONNRESET). See its log"],
])("%s becomes advice", (code, advice) => {
  expect(unreachable("/a", Object.assign(new Error("x"), { code }))).toContain(advice);
});
