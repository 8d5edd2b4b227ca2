/**
 * Becomes a program that may do little, as systemd would make it of a unit:
 *
 *   unshare --mount --propagation private bun test/lab/confine.ts USER FILTER WRITABLE PROGRAM ARGUMENTS…
 *
 * Every mount but /dev, /proc, /sys and the folders WRITABLE (a colon between two) is read-only, other users' processes are hidden, the user is USER (a number), of its capabilities
 * only CAP_NET_ADMIN is left, it can gain no others, and system calls are those that the file FILTER lets pass. The filter
 * comes last, so it need not allow what makes the rest. Signatures: unistd.h, grp.h, sys/prctl.h; numbers:
 * linux/prctl.h, linux/seccomp.h (uapi).
 *
 *   struct sock_fprog   u16 instructions, 6 bytes unused, u64 address
 */
import { existsSync, readFileSync } from "node:fs";
import { become } from "../../ffi/become.ts";
import { CAP_NET_ADMIN, keepCapabilities } from "../../ffi/capability.ts";
import { errnoName, negative } from "../../ffi/errno.ts";
import { load } from "../../ffi/load.ts";
import { addressOf, pinned, storeAddress } from "../../ffi/memory.ts";

const c = load("libc.so.6", "libc6", {
  prctl: { args: ["i32", "u64_fast", "u64_fast", "u64_fast", "u64_fast"], returns: "i32" },
  setgroups: { args: ["u64_fast", "ptr"], returns: "i32" },
  setresgid: { args: ["u32", "u32", "u32"], returns: "i32" },
  setresuid: { args: ["u32", "u32", "u32"], returns: "i32" },
});

const PR_SET_KEEPCAPS = 8;
const PR_SET_SECCOMP = 22;
const PR_CAPBSET_DROP = 24;
const SECCOMP_MODE_FILTER = 2;
const CAPABILITIES = 41;

function must(what: string, answer: number): void {
  if (answer >= 0) return;
  console.error(`confine: ${what}: ${errnoName(answer)}`);
  process.exit(1);
}

/** Deeper mounts last, so that one found read-only is not asked for again through another. */
function makeReadOnly(writable: readonly string[]): void {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(Boolean);
  const points = new Set(lines.map((line) => line.split(" ")[4]!.replaceAll("\\040", " ")));
  const spared = ["/dev", "/proc", "/sys", ...writable];
  const isSpared = (point: string): boolean => spared.some((root) => point === root || point.startsWith(`${root}/`));
  for (const folder of writable) Bun.spawnSync(["mount", "--bind", folder, folder]);
  Bun.spawnSync(["mount", "-t", "proc", "-o", "hidepid=invisible", "proc", "/proc"]);
  for (const point of points) {
    if (isSpared(point) || !existsSync(point)) continue; // Another machine's mount may hide it.
    const { exitCode, stderr } = Bun.spawnSync(["mount", "-o", "remount,bind,ro", point]);
    if (exitCode !== 0) console.error(`confine: ${point} stays writable: ${stderr}`);
  }
}

function filterCalls(bytes: Uint8Array): void {
  const program = pinned(bytes.length);
  program.set(bytes);
  const head = pinned(16);
  const view = new DataView(head.buffer);
  view.setUint16(0, bytes.length / 8, true);
  storeAddress(view, 8, addressOf(program));
  must("seccomp", negative(c.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, addressOf(head), 0, 0)));
}

const [user = "", filter = "", writable = "", ...program] = process.argv.slice(2);
const id = Number(user);
if (!(id > 0) || program.length === 0) {
  console.error("usage: confine.ts USER FILTER WRITABLE PROGRAM ARGUMENTS…");
  process.exit(2);
}
const filterBytes = readFileSync(filter);
makeReadOnly(writable.split(":"));
process.chdir("/");
for (let number = 0; number < CAPABILITIES; number++)
  if (number !== CAP_NET_ADMIN) must("bounding set", negative(c.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)));
must("keep capabilities", negative(c.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)));
must("no groups", negative(c.setgroups(0, null)));
must("group", negative(c.setresgid(id, id, id)));
must("user", negative(c.setresuid(id, id, id)));
must("one capability", keepCapabilities([CAP_NET_ADMIN]));
filterCalls(filterBytes);
must(program[0]!, become(program[0]!, program));
