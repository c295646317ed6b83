#include "netlink.h"

#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
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

int filter_netlink(int fd, uint32_t port, uint8_t protocol) {
  // Words are loaded in network order, messages are in the host's: little-endian on all that we build for.
  const uint32_t word = __builtin_bswap32(port);
  constexpr uint32_t TYPE = offsetof(nlmsghdr, nlmsg_type), PORT = offsetof(nlmsghdr, nlmsg_pid);
  constexpr uint32_t PROTOCOL = NLMSG_HDRLEN + offsetof(rtmsg, rtm_protocol);
  constexpr uint8_t PASS = 11, DROP = 10;
  // The jumps count from the instruction behind them. Port 0 is the kernel's own.
  const auto to = [](int from, int target) { return static_cast<uint8_t>(target - from - 1); };
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, PORT),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, to(1, 3), 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, to(2, DROP), 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TYPE + 1),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, to(4, PASS)),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TYPE),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTM_NEWROUTE, to(6, 8), 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTM_DELROUTE, 0, to(7, PASS)),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTOCOL),
      // No route has protocol 256: then all pass.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol == 0 ? 256u : protocol, 0, to(9, PASS)),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, ~0u),
  };
  const sock_fprog filter{sizeof program / sizeof *program, program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno : 0;
}

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
