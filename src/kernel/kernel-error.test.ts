import { expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import { explainRefusal } from "./explain-errno.ts";
import { explain, kernelError } from "./kernel-error.ts";

test("a missing capability says which one", () => {
  expect(explain(kernelError("follow the kernel's conntrack events", -Errno.EPERM))).toBe(
    "cannot follow the kernel's conntrack events: the kernel answered EPERM. Run ctsync with CAP_NET_ADMIN.",
  );
});

test("a kernel without conntrack says what it lacks", () => {
  expect(explain(kernelError("dump", -Errno.EPROTONOSUPPORT))).toContain("nf_conntrack_netlink");
});

test("any other failure carries the kernel's own words", () => {
  expect(explain(kernelError("dump", -Errno.ENOMEM))).toBe(
    "cannot dump: the kernel answered ENOMEM (Cannot allocate memory).",
  );
});

test("a refused flow is explained by name and reason, an unforeseen errno by the C library's text", () => {
  expect(explainRefusal(Errno.EEXIST)).toBe("EEXIST: another flow has its reply tuple");
  expect(explainRefusal(Errno.EIO)).toBe("EIO: Input/output error");
});
