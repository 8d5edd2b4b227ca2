/**
 * The receive buffer of a netlink socket: as large as asked, past net.core.rmem_max where we may.
 *
 * The kernel answers twice the size that was set, since it counts its own overhead: half of what it says is ours.
 * Source: socket(7), SO_RCVBUF and SO_RCVBUFFORCE.
 */
import { getOption, Option, setOption } from "../../ffi/socket-options.ts";

/** Sets the buffer to `wantedBytes`; answers the size it has then, which is less when the kernel capped it. */
export function setReceiveBuffer(fd: number, wantedBytes: number): number {
  if (setOption(fd, Option.SO_RCVBUFFORCE, wantedBytes) < 0) setOption(fd, Option.SO_RCVBUF, wantedBytes);
  return Math.max(getOption(fd, Option.SO_RCVBUF), 0) >>> 1;
}
