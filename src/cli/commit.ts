import { defineCommand } from "citty";
import type { ExpectationsCommitReport } from "../report.ts";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = clientOptions;

export default defineCommand({
  meta: {
    name: "commit",
    description: `Write the external cache into the kernel

What this node learnt from its peer becomes connection tracking of its own kernel. A flow that stands in the kernel
already is updated in place. Expectations follow the flows. The external cache is left as it is. Fails when the kernel refused a flow, and says why.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "commit", {});
    const report = reply.value;
    if (report !== undefined) {
      const updated = report.updated === 0 ? "" : ` (${report.updated} already in the kernel, updated in place)`;
      const refused = report.failed === 0 ? "" : `, ${report.failed} refused`;
      console.log(`committed ${counted(report.committed + report.updated, "flow")}${updated}${refused}`);
      for (const { count, without } of report.lessened) {
        console.log(`${counted(count, "flow")} without ${without}, which this kernel does not have`);
      }
      for (const { count, reason, errno } of report.failures) {
        console.error(`refused ${counted(count, "flow")}: ${reason} (${errno})`);
      }
      sayExpectations(report.expectations);
    }
    if (!reply.ok) return fail(`ctsync commit: ${reply.error}`);
    if (reply.value.failed > 0) process.exitCode = 1;
  },
});

function sayExpectations({ committed, failed, failures, orphaned }: ExpectationsCommitReport): void {
  if (committed + failed > 0) {
    const refused = failed === 0 ? "" : `, ${failed} refused`;
    console.log(`committed ${counted(committed, "expectation")}${refused}`);
  }
  if (orphaned > 0) console.log(`${counted(orphaned, "expectation")} passed over, whose master is not in the kernel`);
  for (const { count, reason, errno } of failures)
    console.error(`refused ${counted(count, "expectation")}: ${reason} (${errno})`);
}
