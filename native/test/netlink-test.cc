// Netlink sockets of two protocols, on the real kernel: each answers in its own language.
#include "../netlink.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "check.h"

namespace causeway::test {

namespace {

constexpr int BUFFER = 1 << 16;
constexpr uint32_t SEQUENCE = 77;

// Sends one request with an empty body and returns the type of what comes back first.
uint16_t ask(int fd, uint16_t type, uint16_t flags, size_t body) {
  alignas(nlmsghdr) uint8_t bytes[8'192] = {};
  const auto header = reinterpret_cast<nlmsghdr*>(bytes);
  header->nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(body));
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = SEQUENCE;
  CHECK_EQUAL(send(fd, bytes, header->nlmsg_len, 0), header->nlmsg_len);
  pollfd waiting{fd, POLLIN, 0};
  CHECK_EQUAL(poll(&waiting, 1, 5'000), 1);
  CHECK(recv(fd, bytes, sizeof bytes, 0) >= static_cast<ssize_t>(sizeof(nlmsghdr)));
  CHECK_EQUAL(header->nlmsg_seq, SEQUENCE);
  return header->nlmsg_type;
}

}  // namespace

CAUSEWAY_TEST(a_route_socket_lists_links, 1) {
  const int fd = open_netlink(RTMGRP_LINK, -1, NETLINK_ROUTE, BUFFER);
  CHECK(fd >= 0);
  CHECK_EQUAL(ask(fd, RTM_GETLINK, NLM_F_DUMP, sizeof(ifinfomsg)), RTM_NEWLINK);
  close(fd);
}

CAUSEWAY_TEST(a_netfilter_socket_counts_connections, 1) {
  const int fd = open_netlink(0, -1, NETLINK_NETFILTER, BUFFER);
  if (fd == -EPROTONOSUPPORT) throw Skip{"this kernel has no nfnetlink"};
  CHECK(fd >= 0);
  constexpr uint16_t QUESTION = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
  const uint16_t answer = ask(fd, QUESTION, 0, sizeof(nfgenmsg));
  close(fd);
  // Without CAP_NET_ADMIN it says so.
  if (answer == NLMSG_ERROR) throw Skip{"needs CAP_NET_ADMIN and nf_conntrack_netlink"};
  CHECK_EQUAL(answer, QUESTION);
}

CAUSEWAY_TEST(a_filter_is_taken_by_a_netlink_socket_and_by_no_other_descriptor, 1) {
  const int fd = open_netlink(RTMGRP_LINK, -1, NETLINK_ROUTE, BUFFER);
  CHECK(fd >= 0);
  CHECK_EQUAL(filter_netlink(fd, 4'711, 167), 0);
  // What the kernel answers comes from port 0 and is no route.
  CHECK_EQUAL(ask(fd, RTM_GETLINK, NLM_F_DUMP, sizeof(ifinfomsg)), RTM_NEWLINK);
  close(fd);
  CHECK_EQUAL(filter_netlink(-1, 0, 0), -EBADF);
}

CAUSEWAY_TEST(a_netlink_protocol_that_is_none_is_refused, 1) {
  CHECK_EQUAL(open_netlink(0, -1, 31, BUFFER), -EPROTONOSUPPORT);
  CHECK_EQUAL(open_netlink(0, -1, -1, BUFFER), -EPROTONOSUPPORT);
}

}  // namespace causeway::test
