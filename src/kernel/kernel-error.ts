/** What can stop ctsync from talking to its kernel, and the sentence that tells the operator what to do about it. */
import { Errno, errnoName, errnoText } from "../../ffi/errno.ts";

export type KernelError =
  | { readonly kind: "not-permitted"; readonly operation: string }
  | { readonly kind: "no-conntrack"; readonly operation: string }
  | { readonly kind: "failed"; readonly operation: string; readonly errno: number }
  | { readonly kind: "buffer-capped"; readonly wantedBytes: number; readonly grantedBytes: number };

/** Sorts `-errno` of a call that opens something of the kernel's. */
export function kernelError(operation: string, negativeErrno: number): KernelError {
  switch (-negativeErrno) {
    case Errno.EPERM:
    case Errno.EACCES:
      return { kind: "not-permitted", operation };
    case Errno.EPROTONOSUPPORT:
    case Errno.EAFNOSUPPORT:
      return { kind: "no-conntrack", operation };
    default:
      return { kind: "failed", operation, errno: -negativeErrno };
  }
}

export function explain(error: KernelError): string {
  switch (error.kind) {
    case "not-permitted":
      return `cannot ${error.operation}: the kernel answered EPERM. Run ctsync with CAP_NET_ADMIN.`;
    case "no-conntrack":
      return (
        `cannot ${error.operation}: this kernel has no conntrack netlink interface. ` +
        "Load the module nf_conntrack_netlink, or use a kernel built with CONFIG_NF_CT_NETLINK."
      );
    case "failed":
      return `cannot ${error.operation}: the kernel answered ${errnoName(error.errno)} (${errnoText(error.errno)}).`;
    case "buffer-capped":
      return (
        `netlink receive buffer is ${error.grantedBytes} bytes, not ${error.wantedBytes}: bursts will lose events. ` +
        `Run ctsync with CAP_NET_ADMIN, or raise net.core.rmem_max to ${error.wantedBytes}.`
      );
  }
}
