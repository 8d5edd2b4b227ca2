import { errnoName } from "../../../ffi/errno.ts";
import type { Refusal } from "../../report.ts";

/** `explained` begins with the errno's name, as what an operator reads in a log does; the report has them apart. */
export const refusal = (errno: number, explained: string, count: number): Refusal => ({
  errno: errnoName(errno),
  reason: explained.replace(/^[A-Z0-9]+: /, ""),
  count,
});
