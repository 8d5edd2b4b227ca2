/** The replica as one of its extended sessions sees it. */
import type { Replica } from "./replica.ts";
import type { ExtensionHost, NodeRole } from "./sync/session.ts";

export class PeerHost implements ExtensionHost {
  readonly #replica: Replica;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get role(): NodeRole {
    return this.#replica.role;
  }

  get flows(): number {
    return this.#replica.internal.count;
  }

  readonly isFull = false;

  reborn(): void {}

  hear(): void {}

  next(): boolean {
    return false;
  }

  nextDueMs(): number {
    return Number.POSITIVE_INFINITY;
  }
}
