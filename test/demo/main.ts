/**
 * `npm run demo`: the founding test case on real parts, told as it happens. Exits non-zero if the story does not hold.
 */
import { Timeline } from "./timeline.ts";
import { withCtsync } from "./with.ts";
import { withoutCtsync } from "./without.ts";

const PICTURE = `
  An SSH session survives the death of its firewall.

                192.168.10.0/24               203.0.113.0/24
                               ┌─────────┐
                        ┌──────┤   FW1   ├──────┐
   ┌─────┐   ┌────────┐ │  .2  └────┰────┘  .2  │ ┌─────────┐   ┌─────┐
   │  A  ├───┤ inside ├─┤           ┃           ├─┤ outside ├───┤  B  │
   └─────┘   └────────┘ │  .3  ┌────┸────┐  .3  │ └─────────┘   └─────┘
     .10                └──────┤   FW2   ├──────┘                 .50
                               └─────────┘
                      ┃ the link ctsync replicates over, 10.0.9.0/24

  A and B talk through whichever firewall is MASTER: FW1 while it lives,
  else FW2. keepalived gives that one the virtual addresses, .1 on each
  side. Both firewalls track connections, let only A open new ones, log and
  drop what is INVALID, and translate A's address to 203.0.113.1.
`;

const timeline = new Timeline();
timeline.print(PICTURE);

/** An act that cannot be told to its end fails the demo like a claim that does not hold. */
async function tell(name: string, act: (timeline: Timeline) => Promise<void>): Promise<void> {
  try {
    await act(timeline);
  } catch (error) {
    timeline.claim(`${name} could be told to its end`, false);
    timeline.show("what went wrong", String(error instanceof Error ? error.message : error).split("\n"));
  }
}

await tell("act one", withoutCtsync);
await tell("act two", withCtsync);
process.exit(timeline.summary() ? 0 : 1);
