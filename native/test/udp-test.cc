// The sender and the receiver over real sockets on the loopback, and against a kernel of the test's
// own that fails, blocks and stops half-way as it likes: sendmmsg and recvmmsg are replaced below.

#include "../udp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>

#include "vectors.h"

using namespace causeway;
using namespace causeway::test;

// ---- the system calls ----------------------------------------------------------------------------

static std::function<int(int, mmsghdr*, unsigned)> send_hook, receive_hook;

extern "C" int sendmmsg(int fd, mmsghdr* headers, unsigned count, int flags) {
  if (send_hook) return send_hook(fd, headers, count);
  return static_cast<int>(syscall(SYS_sendmmsg, fd, headers, count, flags));
}

extern "C" int recvmmsg(int fd, mmsghdr* headers, unsigned count, int flags, timespec* timeout) {
  if (receive_hook) return receive_hook(fd, headers, count);
  return static_cast<int>(syscall(SYS_recvmmsg, fd, headers, count, flags, timeout));
}

namespace {

struct Hooked {
  ~Hooked() { send_hook = receive_hook = nullptr; }
};

// ---- what was handed to the kernel -----------------------------------------------------------------

// One datagram of one sendmmsg: cut as the kernel would cut it.
struct Sent {
  int family = 0;
  uint16_t port = 0;
  size_t segment = 0;  // of UDP_SEGMENT, 0 = none
  bool local = false;  // with packet info
  Bytes bytes;

  std::vector<Bytes> datagrams() const {
    if (segment == 0) return {bytes};
    std::vector<Bytes> cut;
    for (size_t at = 0; at < bytes.size(); at += segment) {
      const size_t end = std::min(at + segment, bytes.size());
      cut.emplace_back(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(end));
    }
    return cut;
  }
};

Sent read_sent(const msghdr& header) {
  Sent sent;
  const auto* name = static_cast<const sockaddr_in6*>(header.msg_name);
  sent.family = name->sin6_family == AF_INET ? 4 : 6;
  CHECK_EQUAL(header.msg_namelen, sent.family == 4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  sent.port = ntohs(name->sin6_port);
  for (size_t i = 0; i < header.msg_iovlen; i++) {
    const auto* from = static_cast<const uint8_t*>(header.msg_iov[i].iov_base);
    sent.bytes.insert(sent.bytes.end(), from, from + header.msg_iov[i].iov_len);
  }
  msghdr copy = header;
  for (cmsghdr* c = CMSG_FIRSTHDR(&copy); c != nullptr; c = CMSG_NXTHDR(&copy, c)) {
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT) {
      uint16_t segment;
      CHECK_EQUAL(c->cmsg_len, CMSG_LEN(sizeof segment));
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
      sent.segment = segment;
    } else {
      CHECK(c->cmsg_level == (sent.family == 4 ? IPPROTO_IP : IPPROTO_IPV6));
      CHECK(c->cmsg_type == (sent.family == 4 ? IP_PKTINFO : IPV6_PKTINFO));
      CHECK_EQUAL(c->cmsg_len, CMSG_LEN(sent.family == 4 ? sizeof(in_pktinfo) : sizeof(in6_pktinfo)));
      sent.local = true;
    }
  }
  return sent;
}

// ---- endpoints and vectors ---------------------------------------------------------------------------

Endpoint loopback(int family, uint16_t port) {
  Endpoint endpoint{};
  endpoint.family = static_cast<uint16_t>(family);
  endpoint.port = port;
  if (family == 4) {
    endpoint.remote[0] = 127;
    endpoint.remote[3] = 1;
  } else {
    endpoint.remote[15] = 1;
  }
  return endpoint;
}

struct Expected {
  int32_t endpoint;
  Bytes bytes;
  bool apart;  // messages to nowhere stood before it
};

constexpr size_t kEntries = 64;

// Runs of every shape to endpoints -1 … endpoints, some of them not to be sent. `bytes` is about the
// most that is made. The messages that are to be sent, in order; the others' number is in `nowhere`.
std::vector<Expected> fill_vector(Random& random, OwnedOutbound& vector, uint32_t* length,
                                  const std::vector<Endpoint>& endpoints, size_t bytes,
                                  uint32_t* nowhere) {
  std::vector<Expected> expected;
  size_t at = 0;
  *nowhere = 0;
  const size_t usual = random.between(32, 1500);
  int32_t to = 0;
  bool apart = false;
  const size_t limit = random.between(1, kEntries);
  for (*length = 0; *length < limit; ++*length) {
    const size_t stride = random.coin() ? usual : random.one_in(30) ? random.between(9000, 65507) : random.between(1, 1500);
    const size_t messages = random.one_in(3) ? random.between(1, 100) : 1;
    const size_t last = random.coin() ? stride : random.between(1, stride);
    const size_t size = (messages - 1) * stride + last;
    if (at + size > bytes) break;
    if (random.one_in(3)) to = static_cast<int32_t>(random.below(endpoints.size() + 2)) - 1;
    vector.add(*length, at, stride, messages, last, to);
    random.fill(vector.arena + at, size);
    const int32_t slot = random.one_in(8) ? -1 - static_cast<int32_t>(random.below(4)) : 5;
    vector.slot[*length] = slot;
    const bool known = to >= 0 && to < static_cast<int32_t>(endpoints.size()) && endpoints[to].family != 0;
    if (slot == -2 || slot >= 0) {
      if (!known) *nowhere += static_cast<uint32_t>(messages), apart = true;
      for (size_t k = 0; known && k < messages; k++) {
        const uint8_t* from = vector.arena + at + k * stride;
        expected.push_back({to, Bytes(from, from + (k + 1 == messages ? last : stride)), apart});
        apart = false;
      }
    }
    at += size;
  }
  return expected;
}

void receive_all(int fd, std::vector<Bytes>& into) {
  Bytes buffer(1 << 16);
  for (;;) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) return;
    into.emplace_back(buffer.begin(), buffer.begin() + got);
  }
}

struct Sockets {
  explicit Sockets(bool offload, int buffer = 4 << 20)
      : v4(open_udp(4, 0, 0, buffer, offload)), v6(open_udp(6, 0, 0, buffer, offload)) {
    CHECK(v4.fd >= 0);
  }
  ~Sockets() {
    close(v4.fd);
    if (v6.fd >= 0) close(v6.fd);
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  UdpSocket v4, v6;
};

// A default socket buffer holds this much for certain, whatever is in it.
constexpr size_t kSafeBytes = 60000;

}  // namespace

// ---- sending -----------------------------------------------------------------------------------------

CAUSEWAY_TEST(udp_sends_exactly_and_in_order, 400) {
  Sockets ours(true), theirs(false);
  std::vector<Endpoint> endpoints = {loopback(4, theirs.v4.port), loopback(4, theirs.v4.port), Endpoint{}};
  std::map<int32_t, int> socket_of = {{0, theirs.v4.fd}, {1, theirs.v4.fd}};
  endpoints[1].remote[3] = 9;  // the same host by another address
  if (theirs.v6.fd >= 0) {
    socket_of[3] = theirs.v6.fd;
    endpoints.push_back(loopback(6, theirs.v6.port));
  }
  OwnedOutbound vector(kEntries, kSafeBytes);
  uint32_t length = 0, nowhere = 0;
  const std::vector<Expected> expected =
      fill_vector(random, vector, &length, endpoints, kSafeBytes, &nowhere);
  UdpSender sender(static_cast<uint32_t>(endpoints.size()));
  EndpointTable table{endpoints.data(), static_cast<uint32_t>(endpoints.size())};
  const SendCounts counts = sender.send(ours.v4.fd, ours.v6.fd, random.coin() && ours.v4.gso,
                                        random.coin() && ours.v6.gso, vector, length, table);
  CHECK_EQUAL(counts.blocked, 0);
  CHECK_EQUAL(counts.unreachable, nowhere);
  std::map<int, std::vector<Bytes>> wanted, received;
  size_t too_long = 0;
  for (const Expected& one : expected) {
    if (one.bytes.size() > kMaxDatagram) too_long++;
    else wanted[socket_of[one.endpoint]].push_back(one.bytes);
  }
  CHECK_EQUAL(counts.errors, 0);
  CHECK_EQUAL(counts.too_long, too_long);
  for (const auto& [endpoint, fd] : socket_of) receive_all(fd, received[fd]);
  for (const auto& [endpoint, fd] : socket_of) {
    CHECK_EQUAL(received[fd].size(), wanted[fd].size());
    CHECK(received[fd] == wanted[fd]);
  }
}

// What may share one system call's datagram: neighbours to one endpoint, all of one size but the last,
// at most 64, at most the longest datagram.
CAUSEWAY_TEST(udp_merges_neighbours_only, 600) {
  Hooked hooked;
  std::vector<Endpoint> endpoints = {loopback(4, 1000), loopback(4, 1001), loopback(6, 1002)};
  OwnedOutbound vector(kEntries, 1 << 20);
  uint32_t length = 0, nowhere = 0;
  const std::vector<Expected> expected =
      fill_vector(random, vector, &length, endpoints, random.one_in(3) ? 1 << 20 : 60000, &nowhere);
  const bool gso[2] = {!random.one_in(4), !random.one_in(4)};

  struct Batch {
    int32_t endpoint;
    size_t size, count;
    bool open;
  };
  std::vector<Batch> wanted;
  for (const Expected& one : expected) {
    const size_t size = one.bytes.size();
    Batch* last = wanted.empty() ? nullptr : &wanted.back();
    if (last != nullptr && last->open && !one.apart && last->endpoint == one.endpoint && size <= last->size &&
        last->count < 64 && (last->count + 1) * last->size <= kMaxDatagram) {
      last->count++;
      last->open = size == last->size;
    } else {
      wanted.push_back({one.endpoint, size, 1, gso[one.endpoint == 2]});
    }
  }

  size_t seen = 0;
  send_hook = [&](int fd, mmsghdr* headers, unsigned count) {
    for (unsigned i = 0; i < count; i++, seen++) {
      const Sent sent = read_sent(headers[i].msg_hdr);
      CHECK(seen < wanted.size());
      const Batch& batch = wanted[seen];
      CHECK_EQUAL(sent.port, 1000 + batch.endpoint);
      CHECK_EQUAL(fd, sent.family);
      CHECK_EQUAL(sent.segment, batch.count > 1 ? batch.size : 0);
      CHECK_EQUAL(sent.datagrams().size(), batch.count);
      CHECK(sent.bytes.size() <= std::max(kMaxDatagram, batch.size));
    }
    return static_cast<int>(count);
  };
  UdpSender sender(3);
  EndpointTable table{endpoints.data(), 3};
  const SendCounts counts = sender.send(4, 6, gso[0], gso[1], vector, length, table);
  CHECK_EQUAL(counts.unreachable, nowhere);
  CHECK_EQUAL(seen, wanted.size());
}

// A kernel that interrupts, blocks, takes half, refuses long segments and lost addresses: every
// message is sent once and in order, or counted once.
CAUSEWAY_TEST(udp_every_message_is_sent_or_counted_once, 2000) {
  Hooked hooked;
  enum { kGood, kNoRoute, kSticky, kStickyGone, kEndpoints = 6 };
  std::vector<Endpoint> endpoints;
  for (uint16_t i = 0; i < kEndpoints; i++) {
    endpoints.push_back(loopback(random.one_in(4) ? 6 : 4, static_cast<uint16_t>(1000 + i)));
  }
  for (int i : {kSticky, kStickyGone}) std::memset(endpoints[i].local, 7, endpoints[i].family == 4 ? 4 : 16);
  const std::vector<Endpoint> before = endpoints;
  const size_t path_mtu = random.between(200, 1600);
  const bool fragments = random.coin();
  const int refusal = random.coin() ? EMSGSIZE : EINVAL;  // before Linux 6.14 it was EINVAL

  OwnedOutbound vector(kEntries, 200000);
  uint32_t length = 0, nowhere = 0;
  const std::vector<Expected> expected =
      fill_vector(random, vector, &length, endpoints, 200000, &nowhere);

  std::map<int32_t, std::vector<Bytes>> wanted, sent_to;
  uint32_t errors = 0, too_long = 0;
  for (const Expected& one : expected) {
    if (one.endpoint == kNoRoute) errors++;
    else if (one.bytes.size() > path_mtu && !fragments) too_long++;
    else wanted[one.endpoint].push_back(one.bytes);
  }
  int calls = 0;
  send_hook = [&](int, mmsghdr* headers, unsigned count) {
    CHECK(++calls < 100000);
    CHECK(count >= 1 && count <= 64);
    if (random.one_in(5)) {
      errno = EINTR;
      return -1;
    }
    int done = 0;
    for (unsigned i = 0; i < count; i++) {
      int error = 0;
      const Sent sent = read_sent(headers[i].msg_hdr);
      const int32_t to = sent.port - 1000;
      if (to == kNoRoute) {
        error = ENETUNREACH;
      } else if (to == kStickyGone && sent.local) {
        error = random.coin() ? EINVAL : EADDRNOTAVAIL;
      } else if (sent.segment > path_mtu) {
        error = refusal;
      } else if (sent.segment == 0 && sent.bytes.size() > path_mtu && !fragments) {
        error = EMSGSIZE;
      } else if (random.one_in(6)) {
        error = EAGAIN;
      } else if (random.one_in(6)) {
        error = done > 0 ? 0 : EAGAIN;  // half of it is enough for now
        errno = error;
        break;
      }
      if (error != 0) {
        errno = error;
        break;
      }
      for (const Bytes& datagram : sent.datagrams()) sent_to[to].push_back(datagram);
      done++;
    }
    return done > 0 ? done : -1;
  };
  UdpSender sender(kEndpoints);
  EndpointTable table{endpoints.data(), kEndpoints};
  SendCounts total;
  do {
    errno = 0;
    const SendCounts counts = sender.send(4, 6, true, true, vector, length, table);
    total.errors += counts.errors;
    total.too_long += counts.too_long;
    total.unreachable += counts.unreachable;
    total.blocked = counts.blocked;
  } while (total.blocked != 0);
  CHECK_EQUAL(total.unreachable, nowhere);
  CHECK_EQUAL(total.errors, errors);
  CHECK_EQUAL(total.too_long, too_long);
  for (int32_t to = 0; to < kEndpoints; to++) {
    CHECK_EQUAL(sent_to[to].size(), wanted[to].size());
    CHECK(sent_to[to] == wanted[to]);
    // A sticky address that still is ours is kept, whatever else the kernel refused.
    if (to != kStickyGone) {
      CHECK(std::memcmp(&endpoints[to], &before[to], sizeof(Endpoint)) == 0);
    }
    if (to == kStickyGone && !wanted[to].empty()) {
      CHECK(endpoints[to].local[0] == 0 && endpoints[to].local[15] == 0);
    }
  }
}

CAUSEWAY_TEST(udp_answers_from_the_address_that_was_asked, 1) {
  Sockets ours(true), theirs(false);
  Endpoint endpoint = loopback(4, theirs.v4.port);
  const uint8_t asked[4] = {127, 0, 0, 5}, gone[4] = {192, 0, 2, 77};
  OwnedOutbound vector(1, 300);
  vector.add(0, 0, 100, 3, 100, 0);
  for (const uint8_t* local : {asked, gone}) {
    std::memcpy(endpoint.local, local, 4);
    UdpSender sender(1);
    EndpointTable table{&endpoint, 1};
    const SendCounts counts = sender.send(ours.v4.fd, -1, true, false, vector, 1, table);
    CHECK_EQUAL(counts.errors + counts.unreachable + counts.too_long, 0);
    for (int i = 0; i < 3; i++) {
      uint8_t bytes[200];
      sockaddr_in source{};
      socklen_t size = sizeof source;
      CHECK_EQUAL(recvfrom(theirs.v4.fd, bytes, sizeof bytes, MSG_DONTWAIT,
                           reinterpret_cast<sockaddr*>(&source), &size), 100);
      CHECK_EQUAL(ntohl(source.sin_addr.s_addr), local == asked ? 0x7f000005 : 0x7f000001);
    }
    // Given up when it is gone, kept when it is not.
    CHECK_EQUAL(endpoint.local[0], local == asked ? 127 : 0);
  }
  if (theirs.v6.fd < 0) throw Skip{"no IPv6"};
  endpoint = loopback(6, theirs.v6.port);
  endpoint.local[0] = 0xfd;
  endpoint.local[15] = 77;
  UdpSender sender(1);
  EndpointTable table{&endpoint, 1};
  const SendCounts counts = sender.send(-1, ours.v6.fd, false, true, vector, 1, table);
  CHECK_EQUAL(counts.errors + counts.unreachable + counts.too_long, 0);
  CHECK_EQUAL(endpoint.local[0], 0);
  std::vector<Bytes> received;
  receive_all(theirs.v6.fd, received);
  CHECK_EQUAL(received.size(), 3);
}

CAUSEWAY_TEST(udp_without_a_socket_of_the_family, 1) {
  std::vector<Endpoint> endpoints = {loopback(6, 9)};
  OwnedOutbound vector(2, 300);
  vector.add(0, 0, 100, 3, 50, 0);
  UdpSender sender(1);
  EndpointTable table{endpoints.data(), 1};
  const SendCounts counts = sender.send(-1, -1, true, true, vector, 1, table);
  CHECK_EQUAL(counts.unreachable, 3);
  CHECK_EQUAL(counts.errors, 0);
}

// In a namespace where even the loopback has a small MTU: the kernel refuses to segment, so messages
// go one by one as outer fragments; other sizes and endpoints are segmented still.
CAUSEWAY_TEST(udp_falls_back_where_the_path_is_narrow, 1) {
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) _exit(77);
    const int control = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_mtu = 1400;
    CHECK(ioctl(control, SIOCSIFMTU, &request) == 0);
    request.ifr_flags = IFF_UP;
    CHECK(ioctl(control, SIOCSIFFLAGS, &request) == 0);
    Sockets ours(true), theirs(false);
    std::vector<Endpoint> endpoints = {loopback(4, theirs.v4.port)};
    endpoints[0].local[0] = 127;
    endpoints[0].local[3] = 3;
    OwnedOutbound vector(2, 60000);
    random.fill(vector.arena, 60000);
    vector.add(0, 0, 1452, 20, 700, 0);
    vector.add(1, 30000, 500, 20, 500, 0);
    UdpSender sender(1);
    EndpointTable table{endpoints.data(), 1};
    std::vector<size_t> segments;
    send_hook = [&](int fd, mmsghdr* headers, unsigned count) {
      const int sent = static_cast<int>(syscall(SYS_sendmmsg, fd, headers, count, 0));
      for (int i = 0; i < sent; i++) segments.push_back(read_sent(headers[i].msg_hdr).segment);
      return sent;
    };
    const SendCounts counts = sender.send(ours.v4.fd, -1, true, false, vector, 2, table);
    CHECK_EQUAL(counts.errors + counts.unreachable + counts.too_long, 0);
    // 19 long ones and the shorter last one alone, then twenty of 500 bytes in one.
    CHECK(segments.size() == 20 || segments.size() == 21);
    for (size_t i = 0; i < 19; i++) CHECK_EQUAL(segments[i], 0);
    CHECK_EQUAL(segments.back(), 500);
    CHECK_EQUAL(endpoints[0].local[3], 3);
    std::vector<Bytes> received;
    receive_all(theirs.v4.fd, received);
    CHECK_EQUAL(received.size(), 40);
    for (size_t k = 0; k < 20; k++) {
      CHECK_EQUAL(received[k].size(), k == 19 ? 700 : 1452);
      CHECK(std::memcmp(received[k].data(), vector.arena + k * 1452, received[k].size()) == 0);
    }
    // After a change of routes segmentation is tried again.
    request.ifr_mtu = 9000;
    CHECK(ioctl(control, SIOCSIFMTU, &request) == 0);
    sender.forget_paths();
    sender.restart();
    segments.clear();
    sender.send(ours.v4.fd, -1, true, false, vector, 2, table);
    CHECK_EQUAL(segments.size(), 2);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) throw Skip{"may not make a network namespace"};
  CHECK_EQUAL(status, 0);
}

CAUSEWAY_TEST(udp_send_survives_hostile_columns, 5000) {
  Hooked hooked;
  OwnedOutbound vector(static_cast<uint32_t>(random.between(1, 32)), random.below(3000));
  vector.scramble(random);
  std::vector<Endpoint> endpoints(4);
  for (Endpoint& endpoint : endpoints) random.fill(reinterpret_cast<uint8_t*>(&endpoint), sizeof endpoint);
  for (size_t i = 0; i < 3; i++) endpoints[i].family = random.coin() ? 4 : 6;
  size_t bytes = 0;
  send_hook = [&](int, mmsghdr* headers, unsigned count) {
    for (unsigned i = 0; i < count; i++) bytes += read_sent(headers[i].msg_hdr).bytes.size();
    const int error = random.of({0, 0, 0, EINVAL, EMSGSIZE, ENOBUFS, EAGAIN});
    errno = error;
    return error != 0 ? -1 : static_cast<int>(random.between(1, count));
  };
  UdpSender sender(static_cast<uint32_t>(random.between(1, 4)));
  EndpointTable table{endpoints.data(), 4};
  const uint32_t length = random.coin() ? vector.capacity : static_cast<uint32_t>(random.next());
  for (int visit = 0; visit < 5; visit++) {
    if (random.one_in(3)) sender.restart();
    sender.send(4, 6, true, true, vector, length, table);
  }
}

// ---- receiving ---------------------------------------------------------------------------------------

CAUSEWAY_TEST(udp_receives_exactly_and_in_order, 400) {
  Sockets ours(true), theirs(!random.one_in(3));
  const bool v6 = theirs.v6.fd >= 0 && random.coin();
  const UdpSocket& from = v6 ? ours.v6 : ours.v4;
  const UdpSocket& to = v6 ? theirs.v6 : theirs.v4;
  std::vector<Endpoint> endpoints = {loopback(v6 ? 6 : 4, to.port)};
  OwnedOutbound vector(kEntries, kSafeBytes);
  uint32_t length = 0, nowhere = 0;
  std::vector<Expected> expected =
      fill_vector(random, vector, &length, endpoints, kSafeBytes, &nowhere);
  // Few different beginnings, so that some runs go on and others end.
  size_t message = 0;
  for (uint32_t i = 0; i < length; i++) {
    const bool sent = (vector.slot[i] == -2 || vector.slot[i] >= 0) && vector.endpoint[i] == 0;
    for (int32_t k = 0; k < vector.count[i]; k++) {
      uint8_t* bytes = vector.arena + vector.offset[i] + k * vector.stride[i];
      const int32_t size = k + 1 == vector.count[i] ? vector.last_size[i] : vector.stride[i];
      if (size >= 8) std::memset(bytes, random.one_in(10) ? 1 : 2, 8);
      if (sent) expected.at(message++).bytes.assign(bytes, bytes + size);
    }
  }
  UdpSender sender(1);
  EndpointTable table{endpoints.data(), 1};
  const bool gso = random.coin() && from.gso;
  CHECK_EQUAL(sender.send(ours.v4.fd, ours.v6.fd, gso, gso, vector, length, table).errors, 0);

  const uint32_t buffers = static_cast<uint32_t>(random.between(1, 8));
  const bool scarce = random.one_in(3);
  OwnedInbound inbound(scarce ? static_cast<uint32_t>(random.between(1, 30)) : 1024,
                       scarce ? static_cast<uint32_t>(random.between(1, 60)) : 1024,
                       buffers << 16, buffers);
  UdpReceiver receiver(inbound);
  size_t next = 0, dropped = 0;
  for (bool drained = false; !drained;) {
    const ReceiveCounts counts = receiver.receive(to.fd, inbound, 64);
    if (counts.error == EAGAIN && counts.length == 0) break;
    drained = counts.error == EAGAIN;
    CHECK(counts.error == 0 || drained);
    CHECK(counts.length <= inbound.capacity && counts.messages <= inbound.message_capacity);
    dropped += counts.dropped;
    uint32_t messages = 0;
    for (uint32_t i = 0; i < counts.length; i++) {
      Run run;
      uint32_t first;
      CHECK(inbound.messages_at(i, &run, &first));
      CHECK_EQUAL(first, messages);
      CHECK_EQUAL(inbound.slot[i], -1);
      messages += static_cast<uint32_t>(run.count);
      CHECK(inbound.source[i] >= 0 && inbound.source[i] < static_cast<int32_t>(buffers));
      CHECK_EQUAL(inbound.offset[i] >> 16, inbound.source[i]);
      const Endpoint& source = inbound.records[inbound.source[i]];
      Endpoint wanted = loopback(v6 ? 6 : 4, from.port);
      std::memcpy(wanted.local, wanted.remote, sizeof wanted.local);
      CHECK(std::memcmp(&source, &wanted, sizeof source) == 0);
      for (size_t k = 0; k < run.count; k++, next++) {
        const uint8_t* bytes = run.first + k * run.stride;
        const Bytes got(bytes, bytes + run.size_of(k));
        // Where the columns were too small, some are missing; what is there is in order.
        if (scarce) {
          while (next < expected.size() && expected[next].bytes != got) next++;
        }
        CHECK(next < expected.size());
        CHECK(expected[next].bytes == got);
        uint32_t words[2] = {0, 0};
        if (got.size() >= 8) std::memcpy(words, got.data(), 8);
        CHECK_EQUAL(inbound.head[i], words[0]);
        CHECK_EQUAL(inbound.receiver[i], words[1]);
        if (got.size() < 8) CHECK_EQUAL(run.count, 1);
      }
    }
    CHECK_EQUAL(messages, counts.messages);
    if (!scarce) CHECK_EQUAL(dropped, 0);
  }
  if (!scarce) CHECK_EQUAL(next, expected.size());
}

// Every datagram is in the columns or counted as dropped.
CAUSEWAY_TEST(udp_counts_what_finds_no_room, 100) {
  Sockets ours(true), theirs(true);
  std::vector<Endpoint> endpoints = {loopback(4, theirs.v4.port)};
  OwnedOutbound vector(1, 64 * 200);
  const size_t messages = random.between(1, 64);
  vector.add(0, 0, 200, messages, 200, 0);
  for (size_t k = 0; k < messages; k++) vector.arena[k * 200] = random.one_in(3);
  UdpSender sender(1);
  EndpointTable table{endpoints.data(), 1};
  sender.send(ours.v4.fd, -1, ours.v4.gso, false, vector, 1, table);
  OwnedInbound inbound(static_cast<uint32_t>(random.between(1, 10)),
                       static_cast<uint32_t>(random.between(1, 40)), 1 << 16, 1);
  UdpReceiver receiver(inbound);
  size_t total = 0;
  for (;;) {
    const ReceiveCounts counts = receiver.receive(theirs.v4.fd, inbound, 1);
    if (counts.error == EAGAIN) break;
    total += counts.messages + counts.dropped;
    CHECK(counts.messages >= 1);
    CHECK(counts.dropped == 0 || counts.messages == inbound.message_capacity ||
          counts.length == inbound.capacity);
  }
  CHECK_EQUAL(total, messages);
}

CAUSEWAY_TEST(udp_empty_and_short_datagrams, 1) {
  Sockets ours(true), theirs(true);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(theirs.v4.port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (size_t size = 0; size < 10; size++) {
    CHECK_EQUAL(sendto(ours.v4.fd, "\1\2\3\4\5\6\7\10\11\12", size, 0, reinterpret_cast<sockaddr*>(&name),
                       sizeof name), size);
  }
  OwnedInbound inbound(16, 16, 16 << 16, 16);
  UdpReceiver receiver(inbound);
  const ReceiveCounts counts = receiver.receive(theirs.v4.fd, inbound, 16);
  CHECK_EQUAL(counts.error, EAGAIN);
  CHECK_EQUAL(counts.length, 10);
  for (int32_t i = 0; i < 10; i++) {
    CHECK_EQUAL(inbound.count[i], 1);
    CHECK_EQUAL(inbound.last_size[i], i);
    CHECK_EQUAL(inbound.head[i], i < 8 ? 0 : 0x04030201);
    CHECK_EQUAL(inbound.receiver[i], i < 8 ? 0 : 0x08070605);
  }
}

// Whatever the kernel reports about a datagram, no run leaves its receive buffer.
CAUSEWAY_TEST(udp_receive_survives_any_report, 5000) {
  Hooked hooked;
  const uint32_t buffers = static_cast<uint32_t>(random.between(1, 4));
  OwnedInbound inbound(static_cast<uint32_t>(random.between(1, 20)),
                       static_cast<uint32_t>(random.between(1, 60)), random.between(1, 3000), buffers);
  receive_hook = [&](int, mmsghdr* headers, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
      msghdr& header = headers[i].msg_hdr;
      random.fill(static_cast<uint8_t*>(header.msg_name), sizeof(sockaddr_in6));
      auto* bytes = static_cast<uint8_t*>(header.msg_iov[0].iov_base);
      for (size_t k = 0; k < header.msg_iov[0].iov_len; k++) bytes[k] = random.one_in(300);
      headers[i].msg_len = static_cast<unsigned>(random.one_in(4) ? random.below(1 << 17) : random.below(800));
      header.msg_controllen = 0;
      if (random.one_in(4)) continue;
      header.msg_controllen = CMSG_SPACE(sizeof(int));
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = IPPROTO_UDP;
      c->cmsg_type = UDP_GRO;
      c->cmsg_len = CMSG_LEN(sizeof(int));
      const int value = random.one_in(4) ? static_cast<int>(random.next()) : static_cast<int>(random.below(100));
      std::memcpy(CMSG_DATA(c), &value, sizeof value);
    }
    return static_cast<int>(random.between(1, count));
  };
  UdpReceiver receiver(inbound);
  const ReceiveCounts counts = receiver.receive(0, inbound, 64);
  if (inbound.arena_size < buffers) {
    CHECK_EQUAL(counts.error, EINVAL);
    return;
  }
  CHECK(counts.length <= inbound.capacity && counts.messages <= inbound.message_capacity);
  for (uint32_t i = 0; i < counts.length; i++) {
    Run run;
    uint32_t first;
    CHECK(inbound.messages_at(i, &run, &first));
  }
}

// ---- opening -----------------------------------------------------------------------------------------

CAUSEWAY_TEST(udp_open_and_its_errors, 1) {
  const UdpSocket first = open_udp(4, 0, 0, 1 << 16, true);
  CHECK(first.fd >= 0 && first.port != 0 && first.error == 0);
  const UdpSocket second = open_udp(4, first.port, 0, 1 << 16, true);
  CHECK_EQUAL(second.fd, -1);
  CHECK_EQUAL(second.error, EADDRINUSE);
  const UdpSocket plain = open_udp(4, 0, 0, 1 << 16, false);
  CHECK(!plain.gso && !plain.gro);
  CHECK_EQUAL(set_mark(-1, 1), EBADF);
  CHECK_EQUAL(socket_drops(-1), 0);

  // A receive buffer that overflows is counted by the kernel.
  const UdpSocket tiny = open_udp(4, 0, 0, 1, false);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(tiny.port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 50; i++) {
    sendto(plain.fd, &name, sizeof name, 0, reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  std::vector<Bytes> received;
  receive_all(tiny.fd, received);
  CHECK(received.size() < 50);
  CHECK_EQUAL(socket_drops(tiny.fd), 50 - received.size());
  for (const int fd : {first.fd, plain.fd, tiny.fd}) close(fd);
}
