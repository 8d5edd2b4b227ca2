/**
 * A firewall of the lab as a whole machine: beside its network namespace it has /etc, /run, /usr/local and /var/lib of its own, so
 * that files are where a set-up says they go, and two machines do not share them.
 *
 * A process that sleeps holds the mount namespace; everything else enters it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { execute, type Outcome } from "../lab/execute.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";

const START_DEADLINE_MS = 5_000;
const PRIVATE_FOLDERS = ["/etc", "/usr/local", "/var/lib"];

export class Machine {
  readonly namespace: Namespace;
  /** What is copied to the machine first lies here; commands run in it. */
  readonly home: string;
  readonly #holder: LabProcess;

  private constructor(namespace: Namespace, home: string, holder: LabProcess) {
    this.namespace = namespace;
    this.home = home;
    this.#holder = holder;
  }

  /** Its disk is a tmpfs, since not every file system can be the upper half of an overlay: power off, and it is empty. */
  static async start(namespace: Namespace): Promise<Machine> {
    const disk = join(namespace.lab.directory, `disk-${namespace.name}`);
    const home = join(namespace.lab.directory, `home-${namespace.name}`);
    for (const folder of [disk, home]) mkdirSync(folder, { recursive: true });
    const overlays = PRIVATE_FOLDERS.flatMap((folder) => {
      const [upper, work] = [join(disk, "upper", folder), join(disk, "work", folder)];
      const options = `lowerdir=${folder},upperdir=${upper},workdir=${work}`;
      return [`mkdir -p ${upper} ${work}`, `mount -t overlay -o ${options} overlay ${folder}`];
    });
    const script = [
      "set -e",
      `mount -t tmpfs tmpfs ${disk}`,
      ...overlays,
      "mount -t tmpfs tmpfs /run",
      "rm -rf /var/lib/ctsync", // Of a ctsync that runs, or ran, on the machine under the lab.
      "echo is up",
      "exec sleep infinity",
    ];
    const holder = namespace.spawn(["sh", "-c", script.join("\n")]);
    await holder.waitForLine(/^is up$/, START_DEADLINE_MS);
    return new Machine(namespace, home, holder);
  }

  /** Runs a command to its end, whatever that is. */
  exec(argv: readonly string[]): Promise<Outcome> {
    return execute(this.#inside(argv));
  }

  /** Runs a command line that must succeed; returns its stdout. */
  async run(commandLine: string): Promise<string> {
    const { status, stdout, stderr } = await this.exec(["sh", "-c", commandLine]);
    if (status === 0) return stdout;
    throw new Error(`${this.namespace.name}: ${commandLine}: exit status ${status}\n${stdout}${stderr}`);
  }

  /** Where a file of the machine is for us, who live outside. */
  outside(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`;
  }

  async exists(path: string): Promise<boolean> {
    return (await this.exec(["test", "-e", path])).status === 0;
  }

  /** Starts a process that goes on; the lab kills it at its end. */
  spawn(argv: readonly string[]): LabProcess {
    return this.namespace.lab.spawn(this.#inside(argv));
  }

  async write(path: string, text: string): Promise<void> {
    const { lab, name } = this.namespace;
    const source = await lab.write(`${name}-file`, text);
    await this.run(`install -D -m 644 '${source}' '${path}'`);
  }

  #inside(argv: readonly string[]): string[] {
    return ["nsenter", "--target", String(this.#holder.pid), "--net", "--mount", `--wd=${this.home}`, "--", ...argv];
  }
}
