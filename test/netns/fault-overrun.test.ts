/** 200,000 flows begin while the primary's daemon stands still, with room for the events of a few hundred. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { kernelFlows, startPair, statusOf } from "./daemon-pair.ts";
import { converged, makeFaultSides, takesOver } from "./fault-pair.ts";

setDefaultTimeout(90_000);

const GENERATE = resolve(import.meta.dir, "../lab/generate.ts");
const FLOWS = 200_000;
const BUFFER_BYTES = 65_536;
const REPAIR_MS = 30_000;

test("a daemon that is stopped for 200,000 new flows knows them soon after, and none is lost at the takeover", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab, { netlink: { buffer_bytes: BUFFER_BYTES, buffer_max_bytes: BUFFER_BYTES } });
  const [primary, backup] = sides;
  const [daemon] = await startPair(sides);
  daemon.process.kill("SIGSTOP");
  await primary.namespace.run([process.execPath, GENERATE, "--count", `${FLOWS}`, "--mark", "7"]);
  daemon.process.kill("SIGCONT");
  const repaired = async (): Promise<boolean> => {
    const { kernel } = await statusOf(primary);
    return kernel.overruns > 0 && !kernel.suspect;
  };
  await until(repaired, REPAIR_MS, "the overrun is noticed and repaired");
  await until(async () => (await statusOf(backup)).external === FLOWS, REPAIR_MS, "the backup has as many flows");
  await converged(primary, backup);
  const wanted = kernelFlows(primary);
  expect(wanted).toHaveLength(FLOWS);
  daemon.process.kill("SIGKILL");
  await takesOver(backup, wanted);
});
