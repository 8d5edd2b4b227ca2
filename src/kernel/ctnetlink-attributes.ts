/**
 * ctnetlink: the messages that carry conntrack entries, and the numbers of their attributes.
 *
 *   byte  0      16      17       18        20
 *         nlmsg  family  version  resource  attributes
 *
 * Values are big-endian, but for labels and names. A tuple nests addresses (CTA_IP_…), protocol (CTA_PROTO_…) and zone.
 * Source: linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
 */
import { NLMSG_HEADER_BYTES } from "./netlink.ts";

export const FAMILY_AT = NLMSG_HEADER_BYTES;
export const CTNETLINK_HEADER_BYTES = NLMSG_HEADER_BYTES + 4;

const NFNL_SUBSYS_CTNETLINK = 1 << 8;
/** Creates or changes an entry; as an event: a new entry (flag NLM_F_CREATE) or a changed one. */
export const CT_NEW = NFNL_SUBSYS_CTNETLINK | 0;
export const CT_GET = NFNL_SUBSYS_CTNETLINK | 1;
export const CT_DELETE = NFNL_SUBSYS_CTNETLINK | 2;

export const CTA_TUPLE_ORIG = 1;
export const CTA_TUPLE_REPLY = 2;
export const CTA_STATUS = 3;
export const CTA_PROTOINFO = 4;
export const CTA_HELP = 5;
export const CTA_NAT_SRC = 6;
export const CTA_TIMEOUT = 7;
export const CTA_MARK = 8;
export const CTA_NAT_DST = 13;
export const CTA_TUPLE_MASTER = 14;
export const CTA_SEQ_ADJ_ORIG = 15;
export const CTA_SEQ_ADJ_REPLY = 16;
export const CTA_ZONE = 18;
export const CTA_LABELS = 22;
export const CTA_SYNPROXY = 24;

export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;
export const CTA_TUPLE_ZONE = 3;

export const CTA_IP_V4_SRC = 1;
export const CTA_IP_V4_DST = 2;
export const CTA_IP_V6_SRC = 3;
export const CTA_IP_V6_DST = 4;

export const CTA_PROTO_NUM = 1;
/** Ports; GRE's keys too. */
export const CTA_PROTO_SRC_PORT = 2;
export const CTA_PROTO_DST_PORT = 3;
export const CTA_PROTO_ICMP_ID = 4;
export const CTA_PROTO_ICMP_TYPE = 5;
export const CTA_PROTO_ICMP_CODE = 6;
export const CTA_PROTO_ICMPV6_ID = 7;
export const CTA_PROTO_ICMPV6_TYPE = 8;
export const CTA_PROTO_ICMPV6_CODE = 9;

export const CTA_PROTOINFO_TCP = 1;
export const CTA_PROTOINFO_DCCP = 2;
export const CTA_PROTOINFO_SCTP = 3;
/** The state has the same number in all three. */
export const CTA_PROTOINFO_STATE = 1;
export const CTA_PROTOINFO_TCP_WSCALE_ORIGINAL = 2;
export const CTA_PROTOINFO_TCP_WSCALE_REPLY = 3;
export const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL = 4;
export const CTA_PROTOINFO_TCP_FLAGS_REPLY = 5;
/** The first byte of a direction's flags, the other is the mask: its window scale is known; what is out of its window is not INVALID. */
export const IP_CT_TCP_FLAG_WINDOW_SCALE = 0x01;
export const IP_CT_TCP_FLAG_BE_LIBERAL = 0x08;
export const CTA_PROTOINFO_DCCP_ROLE = 2;
export const CTA_PROTOINFO_SCTP_VTAG_ORIGINAL = 2;
export const CTA_PROTOINFO_SCTP_VTAG_REPLY = 3;

export const CTA_NAT_V4_MINIP = 1;
export const CTA_NAT_V4_MAXIP = 2;
export const CTA_NAT_PROTO = 3;
export const CTA_NAT_V6_MINIP = 4;
export const CTA_NAT_V6_MAXIP = 5;
export const CTA_PROTONAT_PORT_MIN = 1;
export const CTA_PROTONAT_PORT_MAX = 2;

export const CTA_HELP_NAME = 1;

export const CTA_SEQADJ_CORRECTION_POS = 1;
export const CTA_SEQADJ_OFFSET_BEFORE = 2;
export const CTA_SEQADJ_OFFSET_AFTER = 3;

export const CTA_SYNPROXY_ISN = 1;
export const CTA_SYNPROXY_ITS = 2;
export const CTA_SYNPROXY_TSOFF = 3;

/** Size of the kernel's label set: 128 labels. */
export const LABELS_BYTES = 16;
