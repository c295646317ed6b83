// A route netlink socket in the network namespace where a TUN device lives now.
#pragma once

#include <cstdint>

namespace causeway {

// Subscribes to `groups` (RTMGRP_*). With tun ≥ 0 the socket is made in that device's namespace,
// otherwise in the caller's. Returns the descriptor, or -errno.
int open_netlink(uint32_t groups, int tun);

}  // namespace causeway
