import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { succeed } from "./execute.ts";
import { Lab } from "./lab.ts";
import { Loss } from "./loss.ts";
import { LabProcess } from "./process.ts";
import { until } from "./until.ts";

const started: LabProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill();
});

const isRunning = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

const namespaces = (): Promise<string> => succeed(["ip", "netns", "list"]);
const logAllNamespaces = (): string => readFileSync("/proc/sys/net/netfilter/nf_log_all_netns", "utf8").trim();

/** A second runner: builds a lab with a process in it, says where, and stays. */
function otherRunner(): LabProcess {
  const script = `
    import { Lab } from ${JSON.stringify(join(import.meta.dir, "lab.ts"))};
    const lab = await Lab.create();
    const namespace = await lab.namespace("left");
    const sleeper = namespace.spawn(["sleep", "600"]);
    console.log(["made", namespace.realName, sleeper.pid, lab.directory].join(" "));
    await new Promise(() => setInterval(() => {}, 1000));`;
  const runner = new LabProcess([process.execPath, "--eval", script]);
  started.push(runner);
  return runner;
}

async function whatItMade(runner: LabProcess) {
  const [, name = "", pid = "", directory = ""] = (await runner.waitForLine(/^made /, 10_000)).split(" ");
  return { name, pid: Number(pid), directory };
}

test("namespaces, processes, directory and machine-wide settings vanish after a failing block", async () => {
  const settingBefore = logAllNamespaces();
  const made = { name: "", pid: 0, grandchild: 0, directory: "" };
  const failing = async () => {
    await using lab = await Lab.create();
    lab.machineSysctl("net.netfilter.nf_log_all_netns", 1);
    expect(logAllNamespaces()).toBe("1");
    const namespace = await lab.namespace("x");
    const child = namespace.spawn(["sh", "-c", "sleep 600 & echo started $!; wait"]);
    made.grandchild = Number((await child.waitForLine(/^started/, 5_000)).split(" ")[1]);
    Object.assign(made, { name: namespace.realName, pid: child.pid, directory: lab.directory });
    expect(await namespace.pids()).toContain(made.grandchild);
    throw new Error("the test failed");
  };
  await expect(failing()).rejects.toThrow("the test failed");

  expect(await namespaces()).not.toContain(made.name);
  await until(() => !isRunning(made.pid) && !isRunning(made.grandchild), 2_000, "processes are gone");
  expect(existsSync(made.directory)).toBe(false);
  expect(logAllNamespaces()).toBe(settingBefore);
});

test.each(["SIGINT", "SIGTERM"] as const)("an interrupted runner (%s) cleans up and exits", async (signal) => {
  const runner = otherRunner();
  const made = await whatItMade(runner);
  expect(await namespaces()).toContain(made.name);
  runner.kill(signal);
  expect(await runner.exited).toBe(signal === "SIGINT" ? 130 : 143);
  expect(await namespaces()).not.toContain(made.name);
  await until(() => !isRunning(made.pid), 2_000, "its process is gone");
  expect(existsSync(made.directory)).toBe(false);
});

test("what a killed runner left is swept by the next lab; what a living one has stays", async () => {
  const [dead, living] = [otherRunner(), otherRunner()];
  const [left, kept] = [await whatItMade(dead), await whatItMade(living)];
  dead.kill("SIGKILL");
  await until(() => !existsSync(`/proc/${dead.pid}`), 2_000, "the runner is gone");
  expect(await namespaces()).toContain(left.name);

  await using _lab = await Lab.create();
  expect(await namespaces()).not.toContain(left.name);
  expect(isRunning(left.pid)).toBe(false);
  expect(existsSync(left.directory)).toBe(false);
  expect(await namespaces()).toContain(kept.name);
  expect(isRunning(kept.pid)).toBe(true);
});

test("linked namespaces reach each other over IPv4 and IPv6, and lost datagrams stay lost until the link heals", async () => {
  await using lab = await Lab.create();
  const [left, right] = [await lab.namespace("left"), await lab.namespace("right")];
  await lab.link(
    { namespace: left, interface: "eth0", addresses: ["10.0.0.1/24", "fd00::1/64"] },
    { namespace: right, interface: "eth0", addresses: ["10.0.0.2/24", "fd00::2/64"] },
  );
  const receiver = right.spawn(["socat", "-u", "-d", "-d", "UDP6-RECVFROM:9,fork,ipv6only=0", "STDOUT"]);
  await receiver.waitForLine(/ N receiving on /, 5_000);
  const send = (text: string, to: string) => left.run(["socat", "-u", "STDIN", to], { stdin: `${text}\n` });

  await send("over IPv4", "UDP4:10.0.0.2:9");
  await send("over IPv6", "UDP6:[fd00::2]:9");
  await receiver.waitForLine(/^over IPv4/, 5_000);
  await receiver.waitForLine(/^over IPv6/, 5_000);

  const loss = await Loss.of(right, "eth0", 100);
  await send("lost", "UDP4:10.0.0.2:9");
  await until(async () => (await loss.lostCount()) === 1, 5_000, "the datagram is counted as lost");
  await loss.heal();
  await send("after", "UDP4:10.0.0.2:9");
  await receiver.waitForLine(/^after/, 5_000);
  expect(receiver.output).not.toContain("lost");
});

test("a command that must succeed throws with all it said, a waited-for line that never comes throws the last lines", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("x");
  expect(await namespace.exec(["sh", "-c", "exit 3"])).toMatchObject({ status: 3 });
  await expect(namespace.run(["sh", "-c", "echo out; echo err >&2; exit 3"])).rejects.toThrow(
    /exit status 3\nout\nerr/,
  );
  const child = namespace.spawn(["sh", "-c", "echo only this"]);
  await expect(child.waitForLine(/that/, 5_000)).rejects.toThrow(/ended without a line like \/that\/\n.*\n {2}\| only/);
});
