/**
 * The numbers of ctnetlink's messages about expectations. A message begins as one about a conntrack entry does, family
 * and all (ctnetlink-attributes.ts); its tuples are built alike too.
 * Source: linux/netfilter/nfnetlink_conntrack.h (ctnl_exp_msg_types, ctattr_expect, ctattr_expect_nat).
 */
const NFNL_SUBSYS_CTNETLINK_EXP = 2 << 8;
export const EXP_NEW = NFNL_SUBSYS_CTNETLINK_EXP | 0;
export const EXP_DELETE = NFNL_SUBSYS_CTNETLINK_EXP | 2;

export const CTA_EXPECT_MASTER = 1;
export const CTA_EXPECT_TUPLE = 2;
export const CTA_EXPECT_MASK = 3;
export const CTA_EXPECT_TIMEOUT = 4;
export const CTA_EXPECT_HELP_NAME = 6;
export const CTA_EXPECT_FLAGS = 8;
export const CTA_EXPECT_CLASS = 9;
export const CTA_EXPECT_NAT = 10;
export const CTA_EXPECT_FN = 11;

export const CTA_EXPECT_NAT_DIR = 1;
export const CTA_EXPECT_NAT_TUPLE = 2;
