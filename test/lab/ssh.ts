/** A real sshd, and a real interactive ssh session: with a terminal on the far side, where a loop answers each line. */
import { mkdirSync } from "node:fs";
import { succeed } from "./execute.ts";
import type { Lab } from "./lab.ts";
import { ANSWERING, LineSession } from "./line-session.ts";
import type { Namespace } from "./namespace.ts";

const START_DEADLINE_MS = 10_000;

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
  async open(namespace: Namespace, address: string, giveUpSeconds: number): Promise<LineSession> {
    const hostKey = await Bun.file(`${this.#keys.host}.pub`).text();
    const knownHosts = await namespace.lab.write("ssh-known-hosts", `${address} ${hostKey}`);
    const options = [
      "BatchMode=yes",
      `UserKnownHostsFile=${knownHosts}`,
      "StrictHostKeyChecking=yes",
      "ConnectTimeout=5",
      `ServerAliveInterval=${Math.ceil(giveUpSeconds / 3)}`,
      "ServerAliveCountMax=3",
    ].flatMap((option) => ["-o", option]);
    const client = [
      "ssh",
      "-F",
      "none",
      "-tt",
      "-i",
      this.#keys.user,
      ...options,
      `root@${address}`,
      `stty -echo; ${ANSWERING}`,
    ];
    const session = new LineSession(namespace.spawn(client));
    await session.nextAnswer(START_DEADLINE_MS);
    return session;
  }
}
