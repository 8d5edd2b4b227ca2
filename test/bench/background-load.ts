/** Flows that go on coming while something else is measured. */
import { join } from "node:path";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";

const GENERATOR = join(import.meta.dir, "../lab/generate.ts");

/** The generator in the background, with flags as on its command line. */
export const startLoad = (namespace: Namespace, flags: Readonly<Record<string, string | number>>): LabProcess =>
  namespace.spawn([
    ...[process.execPath, GENERATOR, "--snat", "--timeout", "3600"],
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]),
  ]);
