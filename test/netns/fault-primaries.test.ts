/**
 * Two primaries at once, as when the firewalls do not hear each other's VRRP while the sync link lives: both are told master,
 * both have traffic. Neither loses a flow nor takes one that ended elsewhere from the other, and when one of them dies the
 * other's kernel gets what it lacks.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { ask, cached, insert, kernelFlows, remove, startPair } from "./daemon-pair.ts";
import { converged, expectSame, makeFaultSides, mixedFlows, notify, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

test.each(["commit", "live"])(
  "both are told master and both have traffic: each keeps its own, each knows the other's, and one can die, apply = %s",
  async (apply) => {
    await using lab = await Lab.create();
    const sides = await makeFaultSides(lab, { sync: { apply } });
    const [one, two] = sides;
    const [daemon] = await startPair(sides);
    insert(one, mixedFlows(0, 2_000));
    await converged(one, two);
    const reports = await Promise.all(sides.map((side) => notify(side, "master")));
    expect(reports.flatMap(({ steps }) => steps).filter(({ ok }) => !ok)).toEqual([]);
    // Whoever was later has committed what the other one told it, and keeps of that its kernel's entries alone.
    await Promise.all(sides.map((side) => ask(side, "POST", "/v1/bulk")));

    // The second has the first one's flows in its kernel now; from here on each goes its own way.
    insert(one, mixedFlows(2_000, 3_000));
    insert(two, mixedFlows(3_000, 4_000));
    remove(one, mixedFlows(0, 500));
    await converged(one, two);
    await converged(two, one);
    const [ones, twos] = [kernelFlows(one), kernelFlows(two)];
    expect([ones.length, twos.length]).toEqual([2_500, 3_000]);
    expectSame(await cached(two, "external"), ones);
    expectSame(await cached(one, "external"), twos);

    daemon.process.kill("SIGKILL");
    const all = [...new Set([...ones, ...twos])].sort();
    expect(all).toHaveLength(4_000);
    await takesOver(two, all);
  },
);
