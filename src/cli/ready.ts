import { defineCommand } from "citty";
import type { ReadyReport } from "../report.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";

const args = {
  aside: { type: "boolean", description: "Ask for something else: exit status 1 only while this node hands over" },
  quiet: { type: "boolean", description: "Say nothing: the exit status is the answer" },
  ...clientOptions,
} as const;

/** Whoever asks each second must not wait longer. */
const SILENCE_MAX_SECONDS = 1;

export default defineCommand({
  meta: {
    name: "ready",
    description: `Tell whether this node holds all that its peer has

Exit status 0: it does, or it is primary, or no peer is there. 1: it does not, or no daemon answers; one sentence says
why. For keepalived, so that a firewall that returns does not take over before it has the connections:

  vrrp_script ctsync_ready {
    script "/usr/local/sbin/ctsync ready --quiet"
    interval 1
    timeout 2
    rise 2
    fall 5
    weight -60
    init_fail
  }

with track_script { ctsync_ready } in the vrrp_sync_group, or in the vrrp_instance if there is no group. The weight must
be more than what the priorities of the two firewalls differ by.

For "ctsync handover" in a set-up with nopreempt, where no priority makes keepalived move, a second one without weight, with
--aside: it succeeds, whoever answers or not, but while this node hands over, and then for a while (--hold)

  vrrp_script ctsync_aside {
    script "/usr/local/sbin/ctsync ready --aside --quiet"
    interval 1
    timeout 2
    fall 1
    rise 1
  }`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const { ready, reason, aside } = await ask(context.args);
    if (context.args.aside) {
      if (aside) process.exitCode = 1;
      if (!context.args.quiet) console.log(aside ? reason : "this node does not hand over");
      return;
    }
    if (!ready) process.exitCode = 1;
    if (!context.args.quiet) console.log(`${ready ? "ready" : "not ready"}: ${reason}`);
  },
});

async function ask(options: { readonly config: string; readonly socket: string | undefined }): Promise<ReadyReport> {
  const response = await read(options, "ready", SILENCE_MAX_SECONDS);
  if (!response.ok) return { ready: false, reason: response.error, aside: false };
  return (await response.value.json()) as ReadyReport;
}
