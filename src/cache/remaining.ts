const EXPIRED_SECONDS = 60;

/**
 * What is left of a timeout that was reported `ageSeconds` ago. The kernel starts a flow's timer again with each packet
 * and tells nobody, so a flow that has outlived its timeout without a destroy still carries traffic: it is given a
 * minute (less if its whole timeout is shorter), which its next packet renews (D-003).
 */
export function remainingSeconds(timeoutSeconds: number, ageSeconds: number): number {
  const remaining = timeoutSeconds - Math.max(ageSeconds, 0);
  return remaining > 0 ? remaining : Math.min(timeoutSeconds, EXPIRED_SECONDS);
}
