/**
 * Installs what building, testing, the demo and the benchmark need, and nothing when nothing is missing: Debian
 * packages, npm packages.
 *
 * Runs on plain Node.js before anything else is there, hence JavaScript without dependencies. What an installer says
 * is shown only when it fails. Services of the packages are not started.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const DEBIAN_PACKAGES = [
  ...["libnetfilter-conntrack3", "libmnl0", "libnfnetlink0"], // carried in the executable
  ...["iproute2", "iptables", "nftables", "procps", "conntrack", "keepalived"], // the lab's machines
  ...["openssh-server", "openssh-client", "socat", "hping3", "iputils-ping"], // their traffic
  ...["conntrackd", "tcpdump"], // the peer to get along with, and a look at the wire
  ...["systemd", "util-linux", "seccomp"], // what the README's unit is verified and imitated with
  ...["libfaketime"], // a wall clock that is set back
];

const POLICY_FILE = "/usr/sbin/policy-rc.d";
const POLICY_MARK = "# Temporary: ctsync's test set-up installs packages without starting their services.";
const POLICY = `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`;
const PROGRESS_INTERVAL_MS = 10_000;

class SetupError extends Error {}

function say(text) {
  console.log(`setup: ${text}`);
}

/** Runs a noisy command in silence, with a sign of life now and then; its output is shown if it fails. */
async function quietly(what, command, args, env = {}) {
  say(`${what} …`);
  const startMs = Date.now();
  const seconds = () => Math.round((Date.now() - startMs) / 1000);
  const progress = setInterval(() => say(`${what} … ${seconds()} s`), PROGRESS_INTERVAL_MS);
  const output = [];
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stderr.on("data", (chunk) => output.push(chunk));
  const status = await new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  clearInterval(progress);
  if (status === 0) return;
  process.stderr.write(Buffer.concat(output));
  throw new SetupError(`${what} failed (${status}): ${[command, ...args].join(" ")}`);
}

function missingDebianPackages() {
  const query = spawnSync("dpkg-query", ["-W", `-f=\${Package} \${db:Status-Status}\n`, ...DEBIAN_PACKAGES], {
    encoding: "utf8",
  });
  if (query.error) {
    throw new SetupError(`this needs Debian or a relative of it: dpkg-query does not run (${query.error.message}).`);
  }
  const installed = new Set(query.stdout.split("\n").filter((line) => line.endsWith(" installed")));
  return DEBIAN_PACKAGES.filter((name) => !installed.has(`${name} installed`));
}

/** Keeps services from starting during `install`; a policy that somebody else has set stays as it is. */
async function withoutStartingServices(install) {
  const isOurs = () => existsSync(POLICY_FILE) && readFileSync(POLICY_FILE, "utf8").includes(POLICY_MARK);
  const setPolicy = !existsSync(POLICY_FILE) || isOurs(); // Ours is left there by a set-up that was killed.
  const removePolicy = () => setPolicy && rmSync(POLICY_FILE, { force: true });
  const interrupted = () => {
    removePolicy();
    process.exit(1);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  if (setPolicy) writeFileSync(POLICY_FILE, POLICY, { mode: 0o755 });
  try {
    await install();
  } finally {
    removePolicy();
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
}

async function setUpDebianPackages() {
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  const patience = ["-o", "DPkg::Lock::Timeout=120"];
  await quietly("fetching Debian's package lists", "apt-get", [...patience, "update"], environment);
  const install = [...patience, "-o", "Dpkg::Options::=--force-confold", "install", "-y", "--no-install-recommends"];
  await withoutStartingServices(() =>
    quietly(`installing ${missing.join(", ")}`, "apt-get", [...install, ...missing], environment),
  );
}

const readLock = (path) => JSON.parse(readFileSync(join(ROOT, path), "utf8")).packages;

/** Whether npm must have installed this package here. An optional one is for some platform, or a part of such a one. */
function isNeeded({ optional, os, cpu, libc = ["glibc"] }) {
  if (!optional) return true;
  return Boolean(os?.includes("linux") && cpu?.includes(process.arch) && libc.includes("glibc"));
}

/** True when node_modules is what package-lock.json says, as far as npm's own record of it tells. */
function npmPackagesMatch() {
  if (!existsSync(join(ROOT, "node_modules/.package-lock.json"))) return false;
  const locked = readLock("package-lock.json");
  const installed = readLock("node_modules/.package-lock.json");
  const names = new Set([...Object.keys(locked), ...Object.keys(installed)]);
  names.delete(""); // this package itself
  return [...names].every((name) => {
    if (installed[name] !== undefined) {
      return installed[name].integrity === locked[name]?.integrity && existsSync(join(ROOT, name));
    }
    return !isNeeded(locked[name]);
  });
}

/** npm's `bun` is a placeholder until its install script has run, which npm may have been told not to do. */
async function setUpBun() {
  const bun = join(ROOT, "node_modules/.bin/bun");
  const runs = () => spawnSync(bun, ["--version"]).status === 0;
  if (runs()) return;
  await quietly("unpacking bun", process.execPath, [join(ROOT, "node_modules/bun/install.js")]);
  if (!runs()) throw new SetupError(`${bun} does not run; remove node_modules and try again.`);
}

/**
 * `npm install`, since `npm ci` refuses a lock file that lacks optional packages of foreign platforms, and a mirror of
 * the registry may not have those. It installs what the lock file pins, and with --no-save leaves that file alone.
 */
async function setUpNpmPackages() {
  const install = ["install", "--no-save", "--no-audit", "--no-fund"];
  if (!npmPackagesMatch()) await quietly("installing npm packages", "npm", install);
  await setUpBun();
}

function loadConntrack() {
  const sysctl = "/proc/sys/net/netfilter/nf_conntrack_max";
  if (existsSync(sysctl)) return;
  spawnSync("modprobe", ["nf_conntrack"]);
  if (!existsSync(sysctl)) throw new SetupError("this kernel has no nf_conntrack, neither built in nor as a module.");
}

try {
  if (process.getuid() !== 0) throw new SetupError("run this as root: it installs packages and makes namespaces.");
  await setUpDebianPackages();
  await setUpNpmPackages();
  loadConntrack();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
