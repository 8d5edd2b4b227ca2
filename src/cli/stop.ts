import { defineCommand } from "citty";
import type { StatusReport } from "../report.ts";
import { order, read } from "./support/control.ts";
import { type ClientArgs, clientOptions } from "./support/options.ts";
import { socketPath } from "./support/socket-path.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = clientOptions;

/** A daemon has this long to let go of its socket once it agreed to stop. */
const STOP_MAX_MS = 10_000;
const POLL_MS = 20;

export default defineCommand({
  meta: {
    name: "stop",
    description: `Stop the daemon

Returns when it is gone. The kernel's flows stay as they are. Under systemd, "systemctl stop ctsync" does the same.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const client = { config: context.args.config, socket: socketPath(context.args) };
    const reply = await order(client, "stop", {});
    if (!reply.ok) return fail(`ctsync stop: ${reply.error}`);
    const { pid } = reply.value;
    const deadlineMs = performance.now() + STOP_MAX_MS;
    while (await answers(client, pid)) {
      if (performance.now() > deadlineMs) {
        return fail(`ctsync stop: the daemon (pid ${pid}) agreed to stop but still answers. See: journalctl -u ctsync`);
      }
      await Bun.sleep(POLL_MS);
    }
    console.log(`stopped the daemon (pid ${pid})`);
  },
});

/** Whether the daemon `pid` is still the one behind the socket. */
async function answers(client: ClientArgs, pid: number): Promise<boolean> {
  const response = await read(client, "status");
  if (!response.ok) return false;
  try {
    return ((await response.value.json()) as StatusReport).pid === pid;
  } catch {
    return false; // It went away within its answer.
  }
}
