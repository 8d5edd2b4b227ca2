import { defineCommand } from "citty";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail, wrongUse } from "./support/terminal.ts";

const args = {
  timeout: { type: "string", valueHint: "SECONDS", description: "How long keepalived may take to move", default: "30" },
  hold: {
    type: "string",
    valueHint: "SECONDS",
    description: "How long ctsync ready stays false afterwards, so that keepalived does not move back",
    default: "300",
  },
  json: { type: "boolean", description: "One JSON object, for programs" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "handover",
    description: `Hand over to the other firewall: run it on the primary

Sends the peer everything, proves that it has it, has it commit ahead of time, and then lets keepalived move: "ctsync
ready" turns false, so that keepalived's vrrp_script lowers this node's priority (see: ctsync ready --help). Returns when
the peer is primary. If keepalived does not move in time, all is as before, but for the windows of TCP flows, which the
kernel checks no more. Breaking the command off does no harm: the handover goes on, or is taken back after its time.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const { timeout, hold, json } = context.args;
    for (const [name, value] of Object.entries({ timeout, hold })) {
      if (!/^[1-9]\d{0,4}$/.test(value))
        return wrongUse("handover", `--${name} takes seconds, 1 to 99999, not "${value}"`);
    }
    const reply = await order(context.args, "handover", { timeoutSeconds: Number(timeout), holdSeconds: Number(hold) });
    const steps = reply.value?.steps ?? [];
    if (json === true)
      console.log(JSON.stringify({ ok: reply.ok, steps, ...(reply.ok ? {} : { error: reply.error }) }));
    else for (const { text, milliseconds } of steps) console.log(`${String(milliseconds).padStart(6)} ms  ${text}`);
    if (!reply.ok) fail(`ctsync handover: ${reply.error}`);
  },
});
