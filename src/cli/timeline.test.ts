import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FlightRecord } from "../recorder/record.ts";
import { makeRing } from "../recorder/ring.ts";
import { ctsync, TestDirectory } from "./test-daemon.ts";

const numbers = { life: 1, a: 0, b: 0, c: 0, d: 0 };
const record = (seq: number, kind: FlightRecord["kind"], text: string): FlightRecord => ({
  ...{ ...numbers, seq, kind, text, atMs: seq * 100_000, wallMs: seq * 100_000 },
});
const RECORDS = ["backup", "master", "backup", "master"].map((role, i) => record(i + 1, "role", role));

/** A configuration that names a ring of these. */
function recorded(directory: TestDirectory, records: readonly FlightRecord[]): string {
  const ring = join(directory.path, "timeline.ring");
  writeFileSync(ring, makeRing(records, 8));
  return directory.write("ctsync.toml", `nonsense = 1\n[recorder]\npath = "${ring}"\n`);
}

describe("ctsync timeline", () => {
  test("prints the last failover, the last few or all, whatever else the configuration says", async () => {
    using directory = new TestDirectory();
    const config = recorded(directory, RECORDS);
    const headlines = async (...args: string[]) => {
      const { code, stdout, stderr } = await ctsync("timeline", "--config", config, ...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return Array.from(stdout.matchAll(/^(takeover|step-down): \w+ to \w+/gm), ([headline]) => headline);
    };
    const all = ["takeover: backup to master", "step-down: master to backup", "takeover: backup to master"];
    expect(await headlines()).toEqual(all.slice(2));
    expect(await headlines("--last", "2")).toEqual(all.slice(1));
    expect(await headlines("--all")).toEqual(all);
  });

  test("prints JSON, a line a failover, and draws", async () => {
    using directory = new TestDirectory();
    const config = recorded(directory, RECORDS);
    const { stdout } = await ctsync("timeline", "--config", config, "--all", "--json");
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).to),
    ).toEqual(["master", "backup", "master"]);
    const svg = join(directory.path, "timeline.svg");
    expect((await ctsync("timeline", "--config", config, "--svg", svg)).code).toBe(0);
    expect(readFileSync(svg, "utf8")).toStartWith("<svg ");
    const nowhere = await ctsync("timeline", "--config", config, "--svg", join(directory.path, "no", "timeline.svg"));
    expect(nowhere).toMatchObject({ code: 1, stdout: "" });
    expect(nowhere.stderr).toMatch(/^ctsync timeline: cannot write .*\(ENOENT\)\n$/);
  });

  test("reads a damaged ring as far as it is sound, and says so", async () => {
    using directory = new TestDirectory();
    const config = recorded(directory, RECORDS);
    const ring = join(directory.path, "timeline.ring");
    const bytes = readFileSync(ring);
    bytes[3 * 256 + 80] = 0xff;
    writeFileSync(ring, bytes);
    const { code, stdout, stderr } = await ctsync("timeline", "--config", config);
    expect(code).toBe(0);
    expect(stdout).toStartWith("step-down: master to backup");
    expect(stderr).toBe(`ctsync: ${ring}: 1 record is damaged and left out\n`);
  });

  test("says what is missing, and refuses what it cannot do", async () => {
    using directory = new TestDirectory();
    const empty = recorded(directory, []);
    expect((await ctsync("timeline", "--config", empty)).stdout).toStartWith("no failover is recorded (0 records in ");
    const svg = join(directory.path, "timeline.svg");
    const drawn = await ctsync("timeline", "--config", empty, "--svg", svg);
    expect(drawn).toMatchObject({
      code: 1,
      stderr: "ctsync timeline: no failover is recorded, so there is nothing to draw\n",
    });
    expect(existsSync(svg)).toBe(false);
    const absent = await ctsync("timeline", "--file", join(directory.path, "absent"));
    expect(absent.code).toBe(1);
    expect(absent.stderr).toMatch(/^ctsync timeline: there is no .*absent: no daemon has recorded anything there/);
    const off = directory.write("off.toml", '[recorder]\npath = ""\n');
    expect((await ctsync("timeline", "--config", off)).stderr).toContain("nothing is recorded: recorder.path is empty");
    for (const wrong of [
      ["--last", "0"],
      ["--last", "x"],
      ["--all", "--last", "1"],
    ])
      expect((await ctsync("timeline", ...wrong)).code).toBe(2);
  });
});
