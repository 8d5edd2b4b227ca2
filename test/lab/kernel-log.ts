/** The kernel log from now on, as a process whose lines can be awaited. */
import type { Lab } from "./lab.ts";
import type { LabProcess } from "./process.ts";

export function followKernelLog(lab: Lab): LabProcess {
  return lab.spawn(["dmesg", "--follow-new", "--notime"]);
}
