/** What may happen to the pair. Each fault heals what it broke; a daemon that is killed starts again. */

import { flushConntrack } from "../lab/conntrack.ts";
import { Loss } from "../lab/loss.ts";
import { until } from "../lab/until.ts";
import { ask, statusOf } from "../netns/daemon-pair.ts";
import { notify } from "../netns/fault-pair.ts";
import type { World } from "./world.ts";

export interface Fault {
  readonly name: string;
  /** A new process has new memory: these come before the time in which growth is measured. */
  readonly kills?: true;
  readonly run: (world: World) => Promise<void>;
}

const LINK_DEADLINE_MS = 10_000;
const COMMANDS = ["bulk", "resync", "request"] as const;

const wait = (world: World, fromMs: number, toMs: number): Promise<void> =>
  Bun.sleep(fromMs + world.random.below(toMs - fromMs));
const either = (world: World): 0 | 1 => (world.random.percent(50) ? 0 : 1);

async function stopped(world: World, i: 0 | 1, amid: () => Promise<void>): Promise<void> {
  world.daemons[i].process.kill("SIGSTOP");
  try {
    await amid();
  } finally {
    world.daemons[i].process.kill("SIGCONT");
  }
}

async function lossy(world: World, i: 0 | 1, percent: number): Promise<void> {
  await using _ = await Loss.of(world.sides[i].namespace, "sync", percent);
  await wait(world, 1_000, 5_000);
}

async function planned(world: World): Promise<void> {
  world.pause();
  await world.takeOver(async () => {
    await notify(world.primarySide, "backup");
  });
  world.resume();
  await world.forgets(world.backup);
}

async function dies(world: World): Promise<void> {
  world.pause();
  const dead = world.primary;
  await world.takeOver(() => world.kill(dead));
  world.resume();
  await flushConntrack(world.sides[dead].namespace); // It boots: its kernel knows nothing.
  await world.restart(dead);
  await notify(world.sides[dead], "backup");
}

async function command(world: World): Promise<void> {
  const side = world.sides[either(world)];
  const name = COMMANDS[world.random.below(COMMANDS.length)]!;
  const { text } = await ask(side, "POST", `/v1/${name}`);
  if (!text.includes('"ok":true')) throw new Error(`${name} in ${side.namespace.name}: ${text}`);
}

async function dump(world: World): Promise<void> {
  for (const cache of ["internal", "external"])
    for (const format of ["text", "json"]) {
      const { status } = await ask(world.sides[either(world)], "GET", `/v1/dump?cache=${cache}&format=${format}`);
      if (status !== 200) throw new Error(`a dump is answered with ${status}`);
    }
}

async function linkMadeAnew(world: World): Promise<void> {
  const [one, two] = world.sides.map(({ namespace }) => namespace);
  await one!.ip("link delete dev sync");
  await until(async () => !(await statusOf(world.sides[0])).link.up, LINK_DEADLINE_MS, "the link is seen to be gone");
  await wait(world, 100, 2_000);
  await one!.ip(`link add sync type veth peer name sync netns ${two!.realName}`);
  for (const [i, end] of [one!, two!].entries())
    await end.ip(`address add 10.0.9.${i + 1}/24 dev sync`, "link set dev sync up");
}

async function linkDown(world: World): Promise<void> {
  const { namespace } = world.sides[either(world)];
  await namespace.ip("link set dev sync down");
  await wait(world, 200, 4_000);
  await namespace.ip("link set dev sync up");
}

async function addressGone(world: World): Promise<void> {
  const i = either(world);
  const { namespace } = world.sides[i];
  await namespace.ip(`address delete 10.0.9.${i + 1}/24 dev sync`);
  await wait(world, 200, 4_000);
  await namespace.ip(`address add 10.0.9.${i + 1}/24 dev sync`);
}

/** keepalived on both says master; then the second one hears that it is not. */
async function twoPrimaries(world: World): Promise<void> {
  const second = world.backup;
  await notify(world.sides[second], "master");
  await wait(world, 200, 2_000);
  await notify(world.sides[second], "backup");
  await world.forgets(second);
}

export const FAULTS: readonly Fault[] = [
  { name: "command", run: command },
  { name: "dump", run: dump },
  {
    name: "overrun: primary stopped",
    run: (world) =>
      stopped(world, world.primary, async () => {
        world.population.begin(world.primarySide, 3_000);
        world.population.end(world.primarySide, 3_000);
        await wait(world, 100, 2_000);
      }),
  },
  { name: "backup stopped", run: (world) => stopped(world, world.backup, () => wait(world, 100, 4_000)) },
  { name: "link down", run: linkDown },
  { name: "link deleted", run: linkMadeAnew },
  { name: "address removed", run: addressGone },
  { name: "black hole to the primary", run: (world) => lossy(world, world.primary, 100) },
  { name: "black hole to the backup", run: (world) => lossy(world, world.backup, 100) },
  { name: "30% loss", run: (world) => lossy(world, either(world), 30) },
  { name: "planned takeover", run: planned },
  { name: "two primaries", run: twoPrimaries },
  { name: "primary killed, takeover", kills: true, run: dies },
  { name: "primary killed, restart", kills: true, run: (world) => killed(world, world.primary) },
  { name: "backup killed, restart", kills: true, run: (world) => killed(world, world.backup) },
  {
    name: "killed amid a bulk",
    kills: true,
    run: async (world) => {
      ask(world.primarySide, "POST", "/v1/bulk").catch(() => undefined);
      await wait(world, 0, 60);
      await killed(world, either(world));
    },
  },
];

async function killed(world: World, i: 0 | 1): Promise<void> {
  await world.kill(i);
  await wait(world, 10, 2_000);
  await world.restart(i);
  await notify(world.sides[i], i === world.primary ? "master" : "backup");
}
