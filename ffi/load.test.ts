import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { LibraryError, load } from "./load.ts";

const mappedFiles = (): string => readFileSync("/proc/self/maps", "utf8");

let before: string;
let directory: string;
beforeEach(() => {
  before = process.cwd();
  directory = mkdtempSync(`${tmpdir()}/ctsync-load-`);
});
afterEach(() => {
  process.chdir(before);
  rmSync(directory, { recursive: true });
});

test("libnetfilter_conntrack and what it needs are loaded from memory, not from a disk", () => {
  const c = load("libnetfilter_conntrack.so.3", "libnetfilter-conntrack3", {
    nfct_new: { args: [], returns: "ptr" },
    nfct_destroy: { args: ["ptr"], returns: "void" },
    nfct_set_attr_u32: { args: ["ptr", "i32", "u32"], returns: "void" },
    nfct_get_attr_u32: { args: ["ptr", "i32"], returns: "u32" },
  });
  const flow = c.nfct_new();
  c.nfct_set_attr_u32(flow, 0, 0x0100000a); // ATTR_ORIG_IPV4_SRC
  expect(c.nfct_get_attr_u32(flow, 0)).toBe(0x0100000a);
  c.nfct_destroy(flow);
  for (const soname of ["libmnl.so.0", "libnfnetlink.so.0", "libnetfilter_conntrack.so.3"]) {
    expect(mappedFiles()).toContain(`/memfd:${soname}`);
    expect(mappedFiles()).not.toMatch(new RegExp(` /[^ ]*lib[^ ]*/${soname.split(".")[0]}[^ ]*$`, "m"));
  }
});

test("libc is the one of this process, whatever lies in the working directory", () => {
  writeFileSync(`${directory}/libc.so.6`, "not a library");
  process.chdir(directory);
  const c = load("libc.so.6", "libc6", { getpid: { args: [], returns: "i32" } });
  expect(c.getpid()).toBe(Number(readlinkSync("/proc/self")));
});

test("a library ctsync does not carry, or a function it lacks, is told with what to install", () => {
  const none = () => load("libmissing.so.1", "libmissing1", { f: { args: [], returns: "void" } });
  expect(none).toThrow(LibraryError);
  expect(none).toThrow(/^cannot load libmissing\.so\.1: .*libmissing1/);
  const old = () =>
    load("libnetfilter_conntrack.so.3", "libnetfilter-conntrack3", {
      nfct_from_tomorrow: { args: [], returns: "void" },
    });
  expect(old).toThrow(/nfct_from_tomorrow.*libnetfilter-conntrack3/);
});
