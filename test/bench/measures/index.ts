/** The benchmark's measures, in the order in which they run and are shown. */
import type { Measure } from "../measure.ts";
import { bulk } from "./bulk.ts";
import { burst } from "./burst.ts";
import { bytes } from "./bytes.ts";
import { commit } from "./commit.ts";
import { cpu } from "./cpu.ts";
import { drain } from "./drain.ts";
import { dump } from "./dump.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { notify } from "./notify.ts";
import { pause } from "./pause.ts";
import { rate } from "./rate.ts";
import { scale } from "./scale.ts";
import { start } from "./start.ts";

export const MEASURES: readonly Measure[] = [
  rate,
  drain,
  burst,
  cpu,
  latency,
  memory,
  commit,
  bulk,
  bytes,
  dump,
  start,
  pause,
  notify,
  scale,
];
