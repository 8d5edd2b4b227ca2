/**
 * A real sshd, and a real interactive ssh session whose liveness can be measured.
 *
 * The session has a terminal on the far side, where a loop answers each line. A line is typed every 100 ms; when
 * the answers stop, so did the session, and the longest silence between two answers is the gap a user felt.
 */
import { mkdirSync } from "node:fs";
import { succeed } from "./execute.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";

const TYPING_INTERVAL_MS = 100;
const START_DEADLINE_MS = 10_000;
const ANSWER = /^answer (\d+)$/;

/** 0 when the line is no answer. */
const answerNumber = (text: string): number => Number(ANSWER.exec(text)?.[1] ?? 0);

/** Keys of the lab's only user and only host, known to each other. */
interface Keys {
  readonly user: string; // path of the private key
  readonly host: string;
}

async function makeKeys(lab: Lab): Promise<Keys> {
  const keys = { user: `${lab.directory}/ssh-user`, host: `${lab.directory}/ssh-host` };
  for (const path of Object.values(keys)) {
    await succeed(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path]);
  }
  return keys;
}

/** A running sshd that lets root in with the lab's key. */
export class SshServer {
  readonly #keys: Keys;

  private constructor(keys: Keys) {
    this.#keys = keys;
  }

  static async start(namespace: Namespace): Promise<SshServer> {
    const { lab } = namespace;
    const keys = await makeKeys(lab);
    mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // Where sshd locks up its unprivileged half.
    const configuration = await lab.write(
      "sshd_config",
      [
        "Port 22",
        `HostKey ${keys.host}`,
        `AuthorizedKeysFile ${keys.user}.pub`,
        "PermitRootLogin prohibit-password",
        "StrictModes no", // The temporary directory is world-writable.
        "UsePAM no",
        "UseDNS no",
        "PidFile none",
        "PrintMotd no",
        "PrintLastLog no",
        "",
      ].join("\n"),
    );
    const server = namespace.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", configuration]);
    await server.waitForLine(/listening on 0\.0\.0\.0 port 22/, START_DEADLINE_MS);
    return new SshServer(keys);
  }

  /** Opens a session from `namespace` to the server at `address`, and returns once it answers. */
  async open(namespace: Namespace, address: string, giveUpSeconds: number): Promise<SshSession> {
    const hostKey = await Bun.file(`${this.#keys.host}.pub`).text();
    const knownHosts = await namespace.lab.write("ssh-known-hosts", `${address} ${hostKey}`);
    const loop = 'stty -echo; while read -r line; do echo "answer $line"; done';
    const options = [
      "BatchMode=yes",
      `UserKnownHostsFile=${knownHosts}`,
      "StrictHostKeyChecking=yes",
      "ConnectTimeout=5",
      `ServerAliveInterval=${Math.ceil(giveUpSeconds / 3)}`,
      "ServerAliveCountMax=3",
    ].flatMap((option) => ["-o", option]);
    const client = ["ssh", "-F", "none", "-tt", "-i", this.#keys.user, ...options, `root@${address}`, loop];
    const session = new SshSession(namespace.spawn(client));
    await session.nextAnswer(START_DEADLINE_MS);
    return session;
  }
}

/** An open session, typed into until closed. */
export class SshSession {
  readonly client: LabProcess;
  readonly #typing: NodeJS.Timeout;
  #typed = 0;

  constructor(client: LabProcess) {
    this.client = client;
    this.#typing = setInterval(() => this.#type(), TYPING_INTERVAL_MS);
  }

  /** Lines typed so far. */
  get typedCount(): number {
    return this.#typed;
  }

  /** Numbers answered so far, in the order they came. */
  get answered(): number[] {
    return this.client.lines.map((line) => answerNumber(line.text)).filter((number) => number > 0);
  }

  /** True when the answers are 1, 2, 3 …: nothing lost, doubled or swapped. */
  get answersAreComplete(): boolean {
    return this.answered.every((number, index) => number === index + 1);
  }

  /** Milliseconds since the last answer. */
  get silenceMs(): number {
    return performance.now() - (this.#answerTimesMs().at(-1) ?? 0);
  }

  /** Longest time between two neighbouring answers, or from the last one to now, that ended after `sinceMs`. */
  longestGapMs(sinceMs: number): number {
    const times = [...this.#answerTimesMs(), performance.now()];
    const gaps = times.map((time, index) => (time > sinceMs && index > 0 ? time - times[index - 1]! : 0));
    return Math.max(...gaps);
  }

  /** Waits until a line typed from now on is answered. */
  async nextAnswer(deadlineMs: number): Promise<void> {
    const typedBefore = this.#typed;
    const isLater = (text: string) => answerNumber(text) > typedBefore;
    await this.client.waitFor(isLater, "an answer to a line typed from now on", deadlineMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#typing);
    await this.client.stop();
  }

  #type(): void {
    if (this.client.running) this.client.write(`${++this.#typed}\n`);
    else clearInterval(this.#typing);
  }

  #answerTimesMs(): number[] {
    return this.client.lines.filter((line) => ANSWER.test(line.text)).map((line) => line.atMs);
  }
}
