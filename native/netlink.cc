#include "netlink.h"

#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace causeway {

namespace {

int make_socket(int protocol, uint32_t groups, int buffer) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  // FORCE, beyond the system's limit, needs CAP_NET_ADMIN.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  // Questions for everything may name a table or an interface, and are answered for that alone. Before
  // Linux 4.20 there is no such thing, and everything is answered.
  const int strict = 1;
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof strict);
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

// Whether the descriptor names the namespace that this thread is in.
bool is_our_namespace(int space) {
  struct stat theirs, ours;
  return fstat(space, &theirs) == 0 && stat("/proc/thread-self/ns/net", &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

}  // namespace

int open_netlink(uint32_t groups, int tun, int protocol, int buffer) {
  const auto make = [=] { return make_socket(protocol, groups, buffer); };
  if (tun < 0) return make();
  const int space = ioctl(tun, TUNGETDEVNETNS);
  if (space < 0) {
    // Before Linux 5.2 there is no telling: where it was made, then.
    return errno == EINVAL ? make() : -errno;
  }
  if (is_our_namespace(space)) {
    // The usual case, and without the privilege that setns takes (CAP_SYS_ADMIN).
    close(space);
    return make();
  }
  int result = -EIO;
  // A namespace belongs to a thread: one of its own enters it and ends, this one never moves.
  try {
    std::thread([&] {
      result = setns(space, CLONE_NEWNET) == 0 ? make() : -errno;
    }).join();
  } catch (const std::system_error&) {
    result = -EAGAIN;  // no thread to be had
  }
  close(space);
  return result;
}

}  // namespace causeway
