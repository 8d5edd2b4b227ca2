/** The kernel's conntrack table as the independent `conntrack` tool prints it: the oracle of namespace tests. */
import type { Namespace } from "./namespace.ts";

/** Lines of `conntrack -L -o extended`, IPv4 then IPv6, sorted within each. */
export async function conntrackTable(namespace: Namespace): Promise<string[]> {
  const table: string[] = [];
  for (const family of ["ipv4", "ipv6"]) {
    const text = await namespace.run(["conntrack", "-L", "-f", family, "-o", "extended"]);
    table.push(...text.split("\n").filter(Boolean).sort());
  }
  return table;
}

export async function flushConntrack(namespace: Namespace): Promise<void> {
  for (const family of ["ipv4", "ipv6"]) await namespace.run(["conntrack", "-F", "-f", family]);
}
