/** The kernel's limit of a start: its table read in batches, and nothing done with it but counting. */

import { dumpTable } from "../../lab/kernel-dump.ts";
import type { Namespace } from "../../lab/namespace.ts";

export interface BareDump {
  readonly flows: number;
  readonly seconds: number;
}

export function bareDump(namespace: Namespace): BareDump {
  let flows = 0;
  const startMs = performance.now();
  dumpTable(namespace, () => {
    flows++;
  });
  return { flows, seconds: (performance.now() - startMs) / 1000 };
}
