/** Processes by number, also those that are not our children. */
import { existsSync } from "node:fs";

export const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

export function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended between being listed and being killed.
  }
}
