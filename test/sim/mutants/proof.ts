/** Faults of proofs and repairs between two ctsync nodes. */
import type { Mutant } from "../mutate.ts";

export const PROOF: readonly Mutant[] = [
  {
    fault: "a flow that the peer does not name in a list stays",
    file: "sync/checker.ts",
    text: "      this.#withdraw(slot);\n",
    becomes: "",
    worlds: { nodes: 2, kind: "sealed", settings: { isExtended: true } },
    seeds: [1, 3],
    breaks: ["converges", "proven"],
  },
  {
    fault: "a flow that the peer wants is not sent",
    file: "sync/prover.ts",
    text: "      this.#resend(slot);\n",
    becomes: "",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [91],
    breaks: ["converges", "proven"],
  },
  {
    fault: "a flow that the peer wants is sent as an update",
    file: "replica-peer.ts",
    text: "      internal.renew(slot, peer);\n",
    becomes: "",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [87],
    breaks: ["converges", "proven"],
  },
  {
    fault: "caches that differ are called equal",
    file: "sync/checker.ts",
    text: "    this.#differing = differing;",
    becomes: "    this.#differing = 0;",
    worlds: { nodes: 2, kind: "sealed", backupsHaveTraffic: false, settings: { isExtended: true } },
    seeds: [191],
    breaks: ["proven", "converges"],
  },
];
