import { defineCommand } from "citty";
import { nearest } from "../config/nearest.ts";
import type { NotifyRole, Orders } from "../report.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail, wrongUse } from "./support/terminal.ts";

const args = {
  words: {
    type: "positional",
    required: false,
    valueHint: "[INSTANCE|GROUP NAME] MASTER|BACKUP|FAULT|STOP [PRIORITY]",
    description: "What keepalived says, in capitals or not",
  },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "notify",
    description: `Tell the daemon which role this node has now: keepalived's notify script

  notify "/usr/local/sbin/ctsync notify"  in a vrrp_sync_group or vrrp_instance of keepalived.conf
  ctsync notify master                    the same, by hand

master  puts the last of the external cache into the kernel (all of it, with sync.apply = "commit"), reads the kernel,
        and tells the peer of all that stands there
backup  shortens the kernel's timers and asks the peer for everything
fault   shortens the kernel's timers; so does stop

Returns when the work is done. The same role said twice, by this or another way, is worked on once.`,
  },
  args,
  async run(context) {
    if (!strict(context, args, "any-words")) return;
    const said = parseNotify(context.args._);
    if (!said.ok) return wrongUse("notify", said.error);
    const reply = await order(context.args, "notify", said.value);
    for (const { step, ok, text, milliseconds } of reply.value?.steps ?? []) {
      const line = `${step}: ${text} (${milliseconds.toFixed(0)} ms)`;
      if (ok) console.log(line);
      else fail(line);
    }
    if (!reply.ok) return fail(`ctsync notify: ${reply.error}`);
  },
});

const ROLES: readonly NotifyRole[] = ["master", "backup", "fault", "stop"];
const roleOf = (word = ""): NotifyRole | undefined => ROLES.find((role) => role === word.toLowerCase());

/**
 * keepalived's arguments: INSTANCE or GROUP, its name, the role and a priority (keepalived.conf(5), "notify scripts");
 * what a newer version may append is left alone. Or the role alone.
 */
export function parseNotify(words: readonly string[]): Result<Orders["notify"]> {
  const [first, ...rest] = words;
  if (first === undefined) return refuse(`which role? One of ${ROLES.join(", ")}`);
  if (/^(instance|group)$/i.test(first)) {
    const [instance, roleWord, priorityWord] = rest;
    const role = roleOf(roleWord);
    if (instance === undefined || roleWord === undefined) return refuse(`after ${first} come its name and its role`);
    if (role === undefined) return refuse(notARole(roleWord));
    const priority = /^\d+$/.test(priorityWord ?? "") ? Number(priorityWord) : undefined;
    return succeed(priority === undefined ? { role, instance } : { role, instance, priority });
  }
  const role = roleOf(first);
  if (role === undefined) return refuse(notARole(first));
  if (rest.length > 0) return refuse(`unexpected "${rest[0]}" after ${first}`);
  return succeed({ role });
}

function notARole(word: string): string {
  const near = nearest(word, ROLES);
  return `"${word}" is no role, ${near === undefined ? `one of ${ROLES.join(", ")} is` : `did you mean "${near}"?`}`;
}
