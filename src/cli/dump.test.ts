import { expect, test } from "bun:test";
import { ctsync, MAIN, TestDaemon } from "./test-daemon.ts";

const LINE = `${"tcp      6 431982 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 ".padEnd(127, "x")}\n`;

/** A dump of so many lines, made only as fast as it is read. */
function dump(linesTotal: number, onChunk: (lines: number) => void = () => {}): Response {
  const chunk = new TextEncoder().encode(LINE.repeat(512));
  let sent = 0;
  return new Response(
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= linesTotal) return controller.close();
        controller.enqueue(chunk);
        sent += 512;
        onChunk(sent);
      },
    }),
  );
}

test.each([
  [["--internal"], "cache=internal&format=text&of=flows"],
  [["--internal", "--expect"], "cache=internal&format=text&of=expectations"],
  [["--external", "--format", "json"], "cache=external&format=json&of=flows"],
  [["--format=text", "--external"], "cache=external&format=text&of=flows"],
])("dump %j", async (words, query) => {
  using daemon = new TestDaemon(() => new Response("one\ntwo\n"));
  expect(await ctsync("dump", ...words, "--socket", daemon.socket)).toEqual({
    code: 0,
    stdout: "one\ntwo\n",
    stderr: "",
  });
  expect(daemon.received).toEqual([{ method: "GET", path: `/v1/dump?${query}`, body: null }]);
});

test("an empty cache is an empty answer", async () => {
  using daemon = new TestDaemon(() => new Response(""));
  expect(await ctsync("dump", "--internal", "--socket", daemon.socket)).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("a long dump arrives whole", async () => {
  using daemon = new TestDaemon(() => dump(131_072));
  const { code, stdout } = await ctsync("dump", "--internal", "--socket", daemon.socket);
  expect([code, stdout.length, stdout.endsWith(LINE)]).toEqual([0, 131_072 * 128, true]);
});

test("a reader that has seen enough ends the dump, quietly, and long before its end", async () => {
  let linesSent = 0;
  using daemon = new TestDaemon(() =>
    dump(10_000_000, (lines) => {
      linesSent = lines;
    }),
  );
  const script = `"$@" | head -1; echo "\${PIPESTATUS[0]}"`;
  const child = Bun.spawn(["bash", "-c", script, "dump", ...MAIN, "dump", "--internal", "--socket", daemon.socket], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect([stdout, stderr]).toEqual([`${LINE}0\n`, ""]);
  expect(linesSent).toBeLessThan(1_000_000);
});

test("a full disk is a failure", async () => {
  using daemon = new TestDaemon(() => dump(2048));
  const child = Bun.spawn(
    ["bash", "-c", '"$@" >/dev/full', "dump", ...MAIN, "dump", "--internal", "--socket", daemon.socket],
    {
      stderr: "pipe",
    },
  );
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(1);
  expect(stderr).toMatch(/^ctsync dump: cannot write: ENOSPC[^\n]*\n$/);
});

test("a daemon that dies within the dump is a failure", async () => {
  using daemon = new TestDaemon(() =>
    dump(10_000_000, (lines) => {
      if (lines === 5120) void daemon.kill();
    }),
  );
  const { code, stderr } = await ctsync("dump", "--internal", "--socket", daemon.socket);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^ctsync dump: the connection broke before the dump was whole[^\n]*\n$/);
});

test("what the daemon refuses is said on standard error", async () => {
  using daemon = new TestDaemon(() => Response.json({ error: "it is starting" }, { status: 503 }));
  expect(await ctsync("dump", "--internal", "--socket", daemon.socket)).toEqual({
    code: 1,
    stdout: "",
    stderr: "ctsync dump: it is starting\n",
  });
});
