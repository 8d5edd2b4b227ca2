/** What the kernel is told of a flow's timer. */
import { type Flow, HAS_TIMEOUT, IPPROTO_TCP, TIMEOUT } from "../flow/flow.ts";

const TCP_ESTABLISHED = 3;
/** For flows of a peer that sends no timeouts (conntrackd with CommitTimeout): what the kernel itself starts them with. */
const ESTABLISHED_SECONDS = 432_000;
const OTHER_SECONDS = 120;

export function timeoutOf(flow: Flow): number {
  if (flow.has(HAS_TIMEOUT)) return flow.words[TIMEOUT];
  return flow.l4proto === IPPROTO_TCP && flow.state === TCP_ESTABLISHED ? ESTABLISHED_SECONDS : OTHER_SECONDS;
}
