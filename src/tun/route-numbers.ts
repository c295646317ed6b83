/**
 * Numbers of route netlink (linux/rtnetlink.h, linux/fib_rules.h) that routes and rules are written
 * and read with. Everything is in the byte order of the host, which is little-endian on both machines
 * that we build for.
 */

/** Nobody's in iproute2's list of routing protocols: by it, what tunnels made is found again. */
export const ROUTE_PROTOCOL = 167;
/** RTPROT_KERNEL: of a directly connected subnet. */
export const KERNEL_PROTOCOL = 2;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const RTM_GETLINK = 18;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;

export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_METRICS = 8;
export const RTA_TABLE = 15;
export const RTAX_LOCK = 1;
export const RTAX_MTU = 2;
export const RTN_UNICAST = 1;
export const RTN_THROW = 9;
export const RTM_F_CLONED = 0x200;
export const SCOPE_UNIVERSE = 0;
export const SCOPE_LINK = 253;
export const SCOPE_NOWHERE = 255;

export const FRA_DST = 1;
export const FRA_SRC = 2;
export const FRA_IIFNAME = 3;
export const FRA_PRIORITY = 6;
export const FRA_FWMARK = 10;
export const FRA_SUPPRESS_PREFIXLEN = 14;
export const FRA_TABLE = 15;
export const FRA_FWMASK = 16;
export const FRA_PROTOCOL = 21;
export const FR_ACT_TO_TBL = 1;
export const FR_ACT_UNREACHABLE = 7;
export const FIB_RULE_INVERT = 2;
export const ALL_BITS = 0xffff_ffff;

/** `lo`: what comes from there, this host sent. Written with the zero that ends it. */
export const LOOPBACK = Uint8Array.of(0x6c, 0x6f);

export const HEADER = 16;
/** struct rtmsg and struct fib_rule_hdr. */
export const BODY = 12;
export const ATTRIBUTE = 4;
/** More than the longest message here takes. */
export const MOST = 128;

export const AF_INET = 2;
export const AF_INET6 = 10;
