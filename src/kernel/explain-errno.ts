/** What the kernel means when it refuses a flow, in words an operator can use. Found by experiment: kernel-commit.test.ts. */
import { Errno, errnoName, errnoText } from "../../ffi/errno.ts";

/** "ENOENT: its master is not in the kernel". Takes the positive errno of a flow that was refused at commit. */
export function explainRefusal(errno: number): string {
  const reason = REASONS[errno] ?? errnoText(errno);
  return `${errnoName(errno)}: ${reason}`;
}

/** The same for an expectation. */
export function explainExpectationRefusal(errno: number): string {
  const reason = EXPECTATION_REASONS[errno] ?? errnoText(errno);
  return `${errnoName(errno)}: ${reason}`;
}

const EXPECTATION_REASONS: Readonly<Record<number, string>> = {
  [Errno.ENOENT]: "its master is not in the kernel",
  [Errno.EOPNOTSUPP]: "its master has no helper here",
  [Errno.EINVAL]: "this kernel has no function of its expectfn's name, or its helper no such class",
  [Errno.EBUSY]: "another expectation stands in its way",
  [Errno.EMFILE]: "there are too many expectations. Raise net.netfilter.nf_conntrack_expect_max",
  [Errno.EPERM]: "not permitted. Run ctsync with CAP_NET_ADMIN",
};

const REASONS: Readonly<Record<number, string>> = {
  [Errno.ENOENT]: "its master is not in the kernel",
  [Errno.EEXIST]: "another flow has its reply tuple",
  [Errno.EOPNOTSUPP]: "the kernel cannot set up its NAT, or does not track its protocol",
  [Errno.EBUSY]: "the entry that stands has a status that cannot be taken back",
  [Errno.EINVAL]: "the kernel takes no such flow: its tuple, state or zone is not valid",
  [Errno.ENOMEM]: "the conntrack table is full. Raise net.netfilter.nf_conntrack_max",
  [Errno.ENOSPC]: "its hash chain is too long. Raise net.netfilter.nf_conntrack_buckets",
  [Errno.ERANGE]: "an attribute is longer than this kernel takes",
  [Errno.EPERM]: "not permitted. Run ctsync with CAP_NET_ADMIN",
  [Errno.ENOBUFS]: "the kernel is out of buffers",
};
