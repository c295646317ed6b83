// A netlink socket in the network namespace where a TUN device lives now.
#pragma once

#include <cstdint>

namespace causeway {

// Subscribes to `groups`, a bit for each of the first 32 of the protocol (NETLINK_ROUTE,
// NETLINK_NETFILTER). With tun ≥ 0 the socket is made in that device's namespace, otherwise in the
// caller's. The kernel keeps up to `buffer` bytes for it. Returns the descriptor, or -errno.
int open_netlink(uint32_t groups, int tun, int protocol, int buffer);

// Has the kernel keep notices from a route netlink socket: those that the socket with this port caused
// (0 = none), and those of routes with this RTPROT_* (0 = none). A hundred thousand routes of our own
// are as many notices, none of which tells us anything. Returns 0, or -errno.
int filter_netlink(int fd, uint32_t port, uint8_t protocol);

}  // namespace causeway
