/**
 * A network namespace: one machine of the lab.
 *
 * Commands run through `ip netns exec`, which replaces itself with the command: the pid is the command's own.
 */
import { type ExecuteOptions, execute, type Outcome, succeed } from "./execute.ts";
import type { Lab } from "./lab.ts";
import { killQuietly } from "./pid.ts";
import type { LabProcess } from "./process.ts";
import { until } from "./until.ts";

const KILL_DEADLINE_MS = 5_000;

export class Namespace {
  readonly lab: Lab;
  /** Short name within the lab, as "fw1". */
  readonly name: string;
  /** Name the kernel knows it by, as "cts4711-1-fw1". */
  readonly realName: string;
  /** The processors that its commands run on, as taskset names them; all of them unless set. */
  processors: string | undefined;

  constructor(lab: Lab, name: string, realName: string) {
    this.lab = lab;
    this.name = name;
    this.realName = realName;
  }

  /** Runs a command to its end and answers status and output, whatever they are. */
  exec(argv: readonly string[], options?: ExecuteOptions): Promise<Outcome> {
    return execute(this.#inside(argv), options);
  }

  /** Runs a command that must succeed; returns its stdout. */
  run(argv: readonly string[], options?: ExecuteOptions): Promise<string> {
    return succeed(this.#inside(argv), options);
  }

  /** Starts a command that goes on; the lab kills it at its end. */
  spawn(argv: readonly string[], environment?: Record<string, string>): LabProcess {
    return this.lab.spawn(this.#inside(argv), environment);
  }

  /** Runs `ip` with one command a line, in one call. */
  async ip(...commands: readonly string[]): Promise<void> {
    await succeed(["ip", "-n", this.realName, "-batch", "-"], { stdin: `${commands.join("\n")}\n` });
  }

  /** Loads an nftables rule set. */
  async nft(rules: string): Promise<void> {
    await this.run(["nft", "-f", "-"], { stdin: rules });
  }

  async sysctl(settings: Readonly<Record<string, string | number>>): Promise<void> {
    await this.run(["sysctl", "-q", "-w", ...Object.entries(settings).map(([key, value]) => `${key}=${value}`)]);
  }

  /** A rule that uses ct state: without one, the kernel neither tracks flows here nor reports them over ctnetlink. */
  async trackConnections(): Promise<void> {
    const chain = (hook: string) => `chain ${hook} { type filter hook ${hook} priority 0; ct state new accept; }`;
    await this.nft(`table inet lab-tracking { ${["input", "forward", "output"].map(chain).join("\n")}\n}`);
  }

  /** Pids of every process inside, children of children included. */
  async pids(): Promise<number[]> {
    const list = await succeed(["ip", "netns", "pids", this.realName]);
    return list.split("\n").filter(Boolean).map(Number);
  }

  /** Power failure: kills every process inside without a farewell, again while one still starts another. */
  async killAll(): Promise<void> {
    const noneLeft = async () => {
      const pids = await this.pids();
      for (const pid of pids) killQuietly(pid);
      return pids.length === 0;
    };
    await until(noneLeft, KILL_DEADLINE_MS, `every process in ${this.realName} is dead`);
  }

  #inside(argv: readonly string[]): string[] {
    const pinned = this.processors === undefined ? [] : ["taskset", "-c", this.processors];
    return ["ip", "netns", "exec", this.realName, ...pinned, ...argv];
  }
}
