/** The code under test: the tree's own, or a copy of it with a fault (mutate.ts). */
import { type SessionClass, watchedSession } from "./watched.ts";

export interface Code {
  readonly Replica: typeof import("../../src/replica.ts").Replica;
  readonly Session: SessionClass;
  readonly firstSequence: typeof import("../../src/sync/ftfw.ts").firstSequence;
  readonly CommitPlan: typeof import("../../src/cache/commit-plan.ts").CommitPlan;
  readonly Handshake: typeof import("../../src/sync/handshake.ts").Handshake;
  readonly ReplayWindow: typeof import("../../src/sync/replay-window.ts").ReplayWindow;
  readonly AddressFilter: typeof import("../../src/filter/address-filter.ts").AddressFilter;
}

/** From the folder `root`, which has the tree's own layout. */
export async function loadCode(root: string): Promise<Code> {
  const [replica, ftfw, plan, handshake, window, filter] = await Promise.all([
    import(`${root}/src/replica.ts`),
    import(`${root}/src/sync/ftfw.ts`),
    import(`${root}/src/cache/commit-plan.ts`),
    import(`${root}/src/sync/handshake.ts`),
    import(`${root}/src/sync/replay-window.ts`),
    import(`${root}/src/filter/address-filter.ts`),
  ]);
  return {
    Replica: replica.Replica,
    Session: watchedSession(ftfw.Ftfw),
    firstSequence: ftfw.firstSequence,
    CommitPlan: plan.CommitPlan,
    Handshake: handshake.Handshake,
    ReplayWindow: window.ReplayWindow,
    AddressFilter: filter.AddressFilter,
  };
}

/** What the tree itself has. */
export const ROOT = `${import.meta.dir}/../..`;
