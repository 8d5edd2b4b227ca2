/** For tests: something that answers on a control socket, and `ctsync` started as a user would start it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** A directory of the test's own. */
export class TestDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "ctsync-cli-"));

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Answers every request with what `answer` makes of it. */
export class TestDaemon implements Disposable {
  readonly directory = new TestDirectory();
  readonly socket = join(this.directory.path, "ctsync.sock");
  readonly received: Received[] = [];
  readonly #server: Bun.Server<undefined>;

  constructor(answer: (request: Received) => Response) {
    this.#server = Bun.serve({
      unix: this.socket,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        const text = await request.text();
        const body: unknown = text === "" ? null : JSON.parse(text);
        const received = { method: request.method, path: pathname + search, body };
        this.received.push(received);
        return answer(received);
      },
    });
  }

  /** Ends at once, as a killed process does. */
  async kill(): Promise<void> {
    await this.#server.stop(true);
  }

  [Symbol.dispose](): void {
    void this.kill();
    this.directory[Symbol.dispose]();
  }
}

/** NDJSON, as the daemon answers commands. */
export const lines = (...values: readonly unknown[]): Response =>
  new Response(values.map((value) => `${JSON.stringify(value)}\n`).join(""));

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const MAIN = [process.execPath, join(import.meta.dir, "../main.ts")];

export async function ctsync(...args: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn([...MAIN, ...args], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
