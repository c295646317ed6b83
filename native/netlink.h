// A netlink socket in the network namespace where a TUN device lives now.
#pragma once

#include <cstdint>

namespace causeway {

// Subscribes to `groups`, a bit for each of the first 32 of the protocol (NETLINK_ROUTE,
// NETLINK_NETFILTER). With tun ≥ 0 the socket is made in that device's namespace, otherwise in the
// caller's. The kernel keeps up to `buffer` bytes for it. Returns the descriptor, or -errno.
int open_netlink(uint32_t groups, int tun, int protocol, int buffer);

}  // namespace causeway
