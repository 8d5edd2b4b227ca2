/** The code under test: the tree's own, or a copy of it with a fault (mutate.ts). */
import { type SessionClass, watchedSession } from "./watched.ts";

export interface Code {
  readonly Replica: typeof import("../../src/replica.ts").Replica;
  readonly Session: SessionClass;
  readonly firstSequence: typeof import("../../src/sync/ftfw.ts").firstSequence;
  readonly CommitPlan: typeof import("../../src/cache/commit-plan.ts").CommitPlan;
  readonly AddressFilter: typeof import("../../src/filter/address-filter.ts").AddressFilter;
}

/** From the folder `root`, which has the tree's own layout. */
export async function loadCode(root: string): Promise<Code> {
  const [{ Replica }, { Ftfw, firstSequence }, { CommitPlan }, { AddressFilter }] = await Promise.all([
    import(`${root}/src/replica.ts`),
    import(`${root}/src/sync/ftfw.ts`),
    import(`${root}/src/cache/commit-plan.ts`),
    import(`${root}/src/filter/address-filter.ts`),
  ]);
  return { Replica, Session: watchedSession(Ftfw), firstSequence, CommitPlan, AddressFilter };
}

/** What the tree itself has. */
export const ROOT = `${import.meta.dir}/../..`;
