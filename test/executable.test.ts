/**
 * dist/ctsync stands alone: it runs on a machine that has nothing of what it was built from, and takes nothing from
 * the directory it is started in.
 *
 * Each case hides something in a mount, network and process namespace of its own, so the machine keeps no trace and
 * every process ends with the case. There the daemon must come up, have read a flow from the kernel through
 * libnetfilter_conntrack, and show it. Each case first proves that what it hides is hidden.
 */
import { beforeAll, expect, test } from "bun:test";

const ROOT = `${import.meta.dirname}/..`;
const BUN = process.execPath;
const LIBRARIES = ["libmnl.so.0", "libnfnetlink.so.0", "libnetfilter_conntrack.so.3"];

const CONFIG = `
[sync]
mode = "ftfw"
[[link]]
transport = "udp"
interface = "cts0"
local = "10.0.9.1"
peer = "10.0.9.2"
port = 3780
[recorder]
path = ""
[control]
socket = "/run/ctsync.sock"
`;

/** A machine with a dedicated link and one flow in its kernel; /run is its own, with the executable in it. */
const MACHINE = `
ip link set lo up
ip link add cts0 type veth peer name cts1
ip address add 10.0.9.1/24 dev cts0
ip link set cts0 up
ip link set cts1 up
conntrack -I -p tcp -s 192.0.2.7 -d 198.51.100.7 --sport 40000 --dport 22 \\
  --state ESTABLISHED -t 300 -u SEEN_REPLY,ASSURED
mount -t tmpfs tmpfs /run
cat > /run/ctsync.toml <<'END'${CONFIG}END
touch /run/ctsync
mount --bind ${ROOT}/dist/ctsync /run/ctsync
ctsync=/run/ctsync
must_fail() { if "$@" >/dev/null 2>&1; then echo "not hidden: $*" >&2; exit 1; fi; }
`;

/** Starts the daemon, waits until it answers, prints what it holds and which libraries it has loaded. */
const DAEMON_WORKS = `
"$ctsync" daemon --config /run/ctsync.toml >&2 &
daemon=$!
tries=0
until "$ctsync" status --config /run/ctsync.toml --json >/run/status 2>/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 200 ] || ! kill -0 $daemon; then echo "the daemon does not answer" >&2; exit 1; fi
  sleep 0.05
done
"$ctsync" dump --internal --config /run/ctsync.toml
grep -o '/memfd:lib.*' /proc/$daemon/maps | sort -u
kill $daemon
wait $daemon
`;

/** An empty file in the place of each: loading it fails, whatever name leads to it. */
const HIDE_LIBRARIES = `
for file in /usr/lib/*/libmnl.so* /usr/lib/*/libnfnetlink.so* \\
  /usr/lib/*/libnetfilter_conntrack.so* ${ROOT}/ffi/lib/*; do
  [ -L "$file" ] || mount --bind /dev/null "$file"
done
`;

interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function inNamespace(script: string): Promise<Answer> {
  const namespaces = [
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
  ];
  const shell = Bun.spawn(["unshare", ...namespaces, "sh", "-eu", "-c", script], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([shell.stdout.text(), shell.stderr.text(), shell.exited]);
  return { status, stdout, stderr };
}

async function expectDaemonWorks(preparation: string): Promise<string> {
  const { status, stdout, stderr } = await inNamespace(MACHINE + preparation + DAEMON_WORKS);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/ESTABLISHED.* src=192\.0\.2\.7 dst=198\.51\.100\.7 sport=40000 dport=22 /);
  for (const soname of LIBRARIES) expect(stdout).toContain(`/memfd:${soname}`);
  return stdout;
}

beforeAll(() => {
  const { exitCode, stderr } = Bun.spawnSync([BUN, "build.ts"], { cwd: ROOT });
  if (exitCode !== 0) throw new Error(stderr.toString());
});

test("it runs where the netfilter libraries are not installed", async () => {
  await expectDaemonWorks(`${HIDE_LIBRARIES} must_fail conntrack -L`);
});

test("it runs where neither Bun nor Node.js is installed", async () => {
  await expectDaemonWorks(`
    mount -t tmpfs tmpfs ${ROOT}/node_modules
    for name in node nodejs bun npm npx; do
      while file=$(command -v $name) && file=$(realpath "$file") && [ -s "$file" ]; do
        mount --bind /dev/null "$file"
      done
    done
    must_fail ${BUN} --version
    must_fail node --version`);
});

test("it runs from a read-only directory", async () => {
  await expectDaemonWorks(`
    mount -t tmpfs tmpfs /mnt
    touch /mnt/ctsync
    mount --bind $ctsync /mnt/ctsync
    mount -o remount,bind,ro /mnt/ctsync
    mount -o remount,ro /mnt
    must_fail touch /mnt/file
    must_fail sh -c ': >> /mnt/ctsync'
    cd /mnt
    ctsync=./ctsync`);
});

test("it runs where /tmp is read-only and runs no programs", async () => {
  await expectDaemonWorks(`
    mount -t tmpfs tmpfs /tmp
    cp /bin/true /tmp/true
    mount -o remount,ro,noexec /tmp
    must_fail /tmp/true
    must_fail touch /tmp/file`);
});

const PLANTED = [".env", ".env.local", ".env.production", "bunfig.toml", "preload.ts", "libc.so.6", ...LIBRARIES];

/**
 * A working directory full of traps, every one last read at second 0. The file system notes each read (strictatime),
 * and the preloaded script leaves a file.
 */
const TRAPS = `
mount -t tmpfs -o strictatime tmpfs /srv
cd /srv
for file in ${PLANTED.join(" ")}; do echo "TRAP=sprung" > $file; done
echo 'preload = ["./preload.ts"]' > bunfig.toml
echo 'require("node:fs").writeFileSync("/srv/sprung", "")' > preload.ts
touch -a -d @0 ${PLANTED.join(" ")}
`;

const REPORT_TRAPS = `
for file in ${PLANTED.join(" ")}; do [ $(stat -c %X $file) = 0 ] || echo "read: $file"; done
if [ -e sprung ]; then echo "ran: preload.ts"; fi
`;

const sprung = (stdout: string): string[] => stdout.split("\n").filter((line) => /^(read|ran): /.test(line));

test("it reads no settings and no libraries from the directory it is started in", async () => {
  const stdout = await expectDaemonWorks(`${HIDE_LIBRARIES} ${TRAPS} trap '${REPORT_TRAPS}' EXIT\n`);
  expect(sprung(stdout)).toEqual([]);
});

test("the traps of that test do spring: Bun itself, started there, reads every one", async () => {
  const opensLibraries = `
    const { dlopen } = require("bun:ffi");
    for (const name of ["./libc.so.6", ...${JSON.stringify(LIBRARIES)}]) try { dlopen(name, { f: {} }) } catch {}
  `;
  const started = `for mode in development production; do NODE_ENV=$mode ${BUN} -e '${opensLibraries}'; done`;
  const { status, stdout } = await inNamespace(`${HIDE_LIBRARIES} ${TRAPS} ${started} ${REPORT_TRAPS}`);
  expect(status).toBe(0);
  expect(sprung(stdout)).toEqual([...PLANTED.map((file) => `read: ${file}`), "ran: preload.ts"]);
});
