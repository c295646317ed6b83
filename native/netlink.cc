#include "netlink.h"

#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace causeway {

namespace {

int make_socket(uint32_t groups) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

}  // namespace

int open_netlink(uint32_t groups, int tun) {
  if (tun < 0) return make_socket(groups);
  const int space = ioctl(tun, TUNGETDEVNETNS);
  if (space < 0) return -errno;
  int result = -EIO;
  // A namespace belongs to a thread: one of its own enters it and ends, this one never moves.
  try {
    std::thread([&] {
      result = setns(space, CLONE_NEWNET) == 0 ? make_socket(groups) : -errno;
    }).join();
  } catch (const std::system_error&) {
    result = -EAGAIN;  // no thread to be had
  }
  close(space);
  return result;
}

}  // namespace causeway
