/**
 * Whether an entry of the kernel cannot become what a flow is now, so that it must be deleted and made anew: NAT, master
 * and helper are given to an entry when it is made, and a status bit once set is never taken back.
 */
import { HAS, HAS_HELPER, HAS_MASTER, HELPER, MASTER_PORTS, REPLY_PORTS, REPLY_SRC, STATUS } from "../flow/flow.ts";
import { IPS_ASSURED, IPS_EXPECTED, IPS_SEEN_REPLY } from "../flow/status.ts";

const KEPT_FOR_LIFE = IPS_EXPECTED | IPS_SEEN_REPLY | IPS_ASSURED;
const GIVEN_AT_BIRTH = HAS_MASTER | HAS_HELPER;

export function isAnotherEntry(before: Uint32Array, now: Uint32Array): boolean {
  if ((before[STATUS] & ~now[STATUS] & KEPT_FOR_LIFE) !== 0) return true;
  if (((before[HAS] ^ now[HAS]) & GIVEN_AT_BIRTH) !== 0) return true;
  for (let i = REPLY_SRC; i <= REPLY_PORTS; i++) if (before[i] !== now[i]) return true;
  if ((now[HAS] & GIVEN_AT_BIRTH) === 0) return false;
  // Helper and master lie side by side.
  for (let i = HELPER; i <= MASTER_PORTS; i++) if (before[i] !== now[i]) return true;
  return false;
}
