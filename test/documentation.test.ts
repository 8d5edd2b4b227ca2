/** What the documentation states as a list is held to the code: settings, commands, files and decisions. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Glob } from "bun";
import * as limits from "../src/config/limits.ts";
import { parseConfig } from "../src/config/load.ts";
import { renderConfig } from "../src/config/render.ts";
import { blockOf } from "./netns/readme-blocks.ts";

const ROOT = resolve(import.meta.dir, "..");
const read = (path: string): Promise<string> => Bun.file(join(ROOT, path)).text();
const paths = (pattern: string): string[] => [...new Glob(pattern).scanSync(ROOT)].sort();

/** The cells of every table's rows. */
function rows(markdown: string): string[][] {
  const lines = markdown.split("\n").filter((line) => /^\|.*\|$/.test(line));
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const bare = (cell = ""): string => cell.replace(/^`(.*)`$/, "$1");

describe("docs/configuration.md", async () => {
  const shortest = '[[link]]\ninterface = "eth2"\nlocal = "10.0.9.1"\npeer = "10.0.9.2"\n';
  const written = rows(await read("docs/configuration.md")).filter(([key]) => key?.startsWith("`"));

  test("names every key with its default, and no other", () => {
    const config = parseConfig(shortest, "");
    if (!config.ok) throw new Error(config.error.join("\n"));
    const tables = Object.entries(Bun.TOML.parse(renderConfig(config.value)) as Record<string, object>);
    const settings = tables.flatMap(([table, found]) =>
      Object.entries(Array.isArray(found) ? found[0] : found).map(([key, value]) => {
        const standard = shortest.includes(`\n${key} =`) ? "none" : JSON.stringify(value);
        return [`${table}.${key}`, standard];
      }),
    );
    expect(written.map(([key, standard]) => [bare(key), bare(standard)]).sort()).toEqual(settings.sort());
  });

  test.each([
    ["sync.flows_max", limits.FLOWS_MAX],
    ["sync.resend_queue", limits.RESEND_QUEUE_MESSAGES],
    ["sync.ack_window", limits.ACK_WINDOW_MESSAGES],
    ["sync.purge_timeout_seconds", limits.PURGE_TIMEOUT_SECONDS],
    ["sync.audit_seconds", limits.AUDIT_SECONDS],
    ["link.port", limits.PORT],
    ["link.receive_buffer_bytes", limits.LINK_BUFFER_BYTES],
    ["link.send_buffer_bytes", limits.LINK_BUFFER_BYTES],
    ["netlink.buffer_bytes", limits.NETLINK_BUFFER_BYTES],
    ["netlink.buffer_max_bytes", limits.NETLINK_BUFFER_MAX_BYTES],
    ["netlink.gather_ms", limits.NETLINK_GATHER_MS],
    ["recorder.size_bytes", limits.RECORDER_SIZE_BYTES],
    ["gate.watchdog_seconds", limits.GATE_WATCHDOG_SECONDS],
    ["gate.log_group", limits.GATE_LOG_GROUP],
    ["daemon.realtime_priority", limits.REALTIME_PRIORITY],
  ])("gives the bounds of %s", (key, { min, max }) => {
    expect(written.find(([name]) => bare(name) === key)?.[2]).toBe(`${min} to ${max}`);
  });
});

test("README.md has a row for each command, and no other", async () => {
  const main = await read("src/main.ts");
  const commands = [...main.matchAll(/^ {4}"?([a-z-]+)"?: \(\) => import/gm)].map(([, name]) => name!);
  expect(commands.length).toBeGreaterThan(10);
  const told = rows(await read("README.md")).map(([cell]) => /^`ctsync ([a-z-]+)/.exec(cell ?? "")?.[1]);
  expect([...new Set(told.filter((name) => name !== undefined))].sort()).toEqual(commands.sort());
});

test("README.md and packaging/ have the same files", async () => {
  const files = {
    "packaging/ctsync.service": "both:/etc/systemd/system/ctsync.service",
    "packaging/sysctl.conf": "both:/etc/sysctl.d/60-ctsync.conf",
    "packaging/nftables.conf": "both:/etc/nftables.conf",
    "packaging/fw1/ctsync.toml": "fw1:/etc/ctsync/ctsync.toml",
    "packaging/fw2/ctsync.toml": "fw2:/etc/ctsync/ctsync.toml",
    "packaging/fw1/keepalived.conf": "fw1:/etc/keepalived/keepalived.conf",
    "packaging/fw2/keepalived.conf": "fw2:/etc/keepalived/keepalived.conf",
  };
  expect(paths("packaging/**/*")).toEqual(Object.keys(files).sort());
  for (const [path, words] of Object.entries(files)) expect(blockOf(words), path).toBe(await read(path));
});

test("README.md shows what the failover suite measured", async () => {
  expect(await read("README.md")).toContain((await read("docs/failover/readme-table.md")).trim());
});

test("docs/reliability.md names a test for each promise, and each test that it names exists", async () => {
  const text = await read("docs/reliability.md");
  const [promises = ""] = text.split("\n## What is not promised\n");
  const items = promises.split(/^- /m).slice(1);
  expect(items.length).toBeGreaterThan(15);
  for (const item of items) {
    const named = [...item.matchAll(/^ {2}- `((?:src|test)\/[^`]+\.test\.ts)`: "(.+)"$/gm)];
    expect(named.length, item).toBeGreaterThan(0);
    expect(named.length, item).toBe(item.split(/^ {2}- /m).length - 1); // No line is mistyped.
    for (const [, path = "", name = ""] of named) {
      const code = await read(path);
      const isThere = ['"', "`", "'"].some((quote) => code.includes(`${quote}${name}`));
      expect(isThere, `${path}: ${name}`).toBeTrue();
    }
  }
});

test("every link in the documentation leads to a file", async () => {
  for (const path of ["README.md", ...paths("docs/*.md")]) {
    for (const [, target = ""] of (await read(path)).matchAll(/\]\(([^)#]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      expect(existsSync(join(ROOT, dirname(path), target)), `${path}: ${target}`).toBeTrue();
    }
  }
});

test("every decision that code cites is written down in its folder, once", async () => {
  for (const path of paths("{src,ffi}/**/*.ts")) {
    const cited = [...(await read(path)).matchAll(/D-\d{3}/g)].map(([number]) => number);
    const [first, second] = path.split("/");
    const decisions = first === "ffi" ? "ffi/DECISIONS.md" : `src/${second}/DECISIONS.md`;
    if (cited.length > 0) {
      const written = [...(await read(decisions)).matchAll(/^## (D-\d{3}) /gm)].map(([, number]) => number!);
      expect(new Set(written).size).toBe(written.length);
      expect(written, path).toEqual(expect.arrayContaining(cited));
    }
  }
});
