/**
 * Whether the kernel's table, the primary's internal and the backup's external cache are one and the same: by what each
 * flow says of itself (tuples with NAT, state, status, mark), as conntrack(8) and ctsync print it, not by counts.
 *
 * Of a million lines only a 64-bit hash each is kept; sorted, the lists are equal if the tables are.
 */
import { join } from "node:path";
import { CTSYNC } from "../lab/ctsync.ts";
import { flowTexts, parseFlowLine } from "../lab/flow-line.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { MeasuredNode, Pair } from "./pair.ts";

const DUMP_DEADLINE_MS = 120_000;

/** For a pair of ctsync. Throws when a cache differs from the kernel's table, and says by how much. */
export async function assertEqual({ primary, backup }: Pair): Promise<void> {
  const kernel = await digest(primary.namespace, ["conntrack", "-L"]);
  const caches = [await dump(primary, "internal"), await dump(backup, "external")];
  for (const cache of caches) {
    const alike = alikeCount(kernel, cache);
    if (alike === kernel.length && alike === cache.length) continue;
    const name = cache === caches[0] ? "internal" : "external";
    throw new Error(
      `${kernel.length} flows in the kernel, ${cache.length} in the ${name} cache, ${alike} of them alike`,
    );
  }
}

const dump = (node: MeasuredNode, cache: "internal" | "external"): Promise<BigUint64Array> =>
  digest(node.namespace, [CTSYNC, "dump", `--${cache}`, "--config", node.config]);

/** A hash of every flow that the command prints, sorted. */
async function digest(namespace: Namespace, command: readonly string[]): Promise<BigUint64Array> {
  const path = join(namespace.lab.directory, "flows.txt");
  const redirected = ["sh", "-c", 'to=$1; shift; exec "$@" > "$to"', "sh", path, ...command];
  await namespace.run(redirected, { deadlineMs: DUMP_DEADLINE_MS });
  const hashes: bigint[] = [];
  const take = (line: string): void => {
    if (line !== "") hashes.push(BigInt(Bun.hash(flowTexts([parseFlowLine(line)])[0]!)));
  };
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of Bun.file(path).stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  take(rest);
  return BigUint64Array.from(hashes).sort();
}

/** How many members two sorted lists have in common, each as often as it is in both. */
function alikeCount(left: BigUint64Array, right: BigUint64Array): number {
  let [i, j, alike] = [0, 0, 0];
  while (i < left.length && j < right.length) {
    const [one, other] = [left[i], right[j]];
    if (one === other) alike++;
    if (one <= other) i++;
    if (other <= one) j++;
  }
  return alike;
}
