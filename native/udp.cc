#include "udp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace causeway {

namespace {

constexpr uint32_t kMaxVectors = 1024;  // UIO_MAXIOV: the kernel silently takes no more
constexpr size_t kMaxSegments = 64;  // UDP_MAX_SEGMENTS of every kernel that has UDP_SEGMENT

bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

UdpSocket failed(UdpSocket socket) {
  socket.error = errno;
  if (socket.fd >= 0) close(socket.fd);
  socket.fd = -1;
  return socket;
}

bool any(const uint8_t* bytes, size_t size) {
  uint8_t all = 0;
  for (size_t i = 0; i < size; i++) all |= bytes[i];
  return all != 0;
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_in6* name) {
  std::memset(name, 0, sizeof *name);
  if (endpoint.family == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(name);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.remote, 4);
    return sizeof(sockaddr_in);
  }
  name->sin6_family = AF_INET6;
  name->sin6_port = htons(endpoint.port);
  std::memcpy(&name->sin6_addr, endpoint.remote, 16);
  name->sin6_scope_id = endpoint.scope;
  return sizeof(sockaddr_in6);
}

cmsghdr* put_control(msghdr* message, cmsghdr* at, int level, int type, const void* data,
                     size_t size) {
  at->cmsg_level = level;
  at->cmsg_type = type;
  at->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(at), data, size);
  message->msg_controllen += CMSG_SPACE(size);
  return reinterpret_cast<cmsghdr*>(reinterpret_cast<uint8_t*>(at) + CMSG_SPACE(size));
}

}  // namespace

UdpSocket open_udp(int family, uint16_t port, uint32_t mark, int buffer, bool offload) {
  UdpSocket made;
  const bool v6 = family == 6;
  made.fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made.fd < 0) return failed(made);
  if (v6 && !set_option(made.fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return failed(made);
  if (!set_option(made.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1)) {
    return failed(made);
  }
  if (mark != 0 && set_mark(made.fd, mark) != 0) return failed(made);
  // FORCE needs CAP_NET_ADMIN; without it the system's limit applies.
  if (!set_option(made.fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer)) {
    set_option(made.fd, SOL_SOCKET, SO_RCVBUF, buffer);
  }
  // The kernel doubles what is set, for its own bookkeeping.
  int doubled = 0;
  socklen_t doubled_size = sizeof doubled;
  getsockopt(made.fd, SOL_SOCKET, SO_RCVBUF, &doubled, &doubled_size);
  made.receive_buffer = doubled / 2;
  if (!set_option(made.fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer)) {
    set_option(made.fd, SOL_SOCKET, SO_SNDBUF, buffer);
  }
  sockaddr_in6 name{};
  socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  name.sin6_family = v6 ? AF_INET6 : AF_INET;  // family and port lie at the same place in both
  name.sin6_port = htons(port);
  if (bind(made.fd, reinterpret_cast<sockaddr*>(&name), size) < 0) return failed(made);
  if (getsockname(made.fd, reinterpret_cast<sockaddr*>(&name), &size) < 0) return failed(made);
  made.port = ntohs(name.sin6_port);
  if (offload) {
    int segment = 0;
    socklen_t length = sizeof segment;
    made.gso = getsockopt(made.fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &length) == 0;
    made.gro = set_option(made.fd, IPPROTO_UDP, UDP_GRO, 1);
  }
  return made;
}

int set_mark(int fd, uint32_t mark) {
  return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0 ? 0 : errno;
}

int set_dont_fragment(int fd, bool on) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return errno;
  bool set;
  if (family == AF_INET6) {
    set = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                     on ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT) &&
          set_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, on ? 1 : 0);
  } else {
    set = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_PROBE : IP_PMTUDISC_WANT);
  }
  return set ? 0 : errno;
}

uint32_t socket_drops(int fd) {
  uint32_t values[SK_MEMINFO_VARS] = {0};
  socklen_t size = sizeof values;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &size) != 0) return 0;
  return values[SK_MEMINFO_DROPS];
}

UdpReceiver::UdpReceiver(const InboundVector& vector)
    : buffer_size_(vector.sources.capacity == 0 ? 0 : vector.arena_size / vector.sources.capacity),
      buffers_(vector.sources.capacity),
      headers_(buffers_),
      pieces_(buffers_),
      names_(buffers_),
      control_(buffers_ * kControlSize) {}

ReceiveCounts UdpReceiver::receive(int fd, InboundVector& vector, uint32_t max_buffers) {
  ReceiveCounts counts;
  const uint32_t buffers = std::min({max_buffers, buffers_, vector.sources.capacity, kMaxVectors});
  if (buffers * buffer_size_ > vector.arena_size || buffer_size_ == 0) {
    counts.error = EINVAL;
    return counts;
  }
  for (uint32_t i = 0; i < buffers; i++) {
    pieces_[i] = {vector.arena + i * buffer_size_, buffer_size_};
    msghdr& header = headers_[i].msg_hdr;
    header = msghdr{};
    header.msg_name = &names_[i];
    header.msg_namelen = sizeof names_[i];
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
    header.msg_control = control_.data() + i * kControlSize;
    header.msg_controllen = kControlSize;
  }
  int got;
  do {
    got = recvmmsg(fd, headers_.data(), buffers, 0, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    counts.error = errno;
    return counts;
  }
  if (static_cast<uint32_t>(got) < buffers) counts.error = EAGAIN;

  for (int m = 0; m < got; m++) {
    msghdr& header = headers_[m].msg_hdr;
    Endpoint& source = vector.sources.records[m];
    source = Endpoint{};
    size_t segment = 0;
    const sockaddr_in6& name = names_[m];
    if (name.sin6_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(&name);
      source.family = 4;
      std::memcpy(source.remote, &v4->sin_addr, 4);
    } else {
      source.family = 6;
      std::memcpy(source.remote, &name.sin6_addr, 16);
      source.scope = name.sin6_scope_id;
    }
    source.port = ntohs(name.sin6_port);
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
        int value;
        std::memcpy(&value, CMSG_DATA(c), sizeof value);
        segment = value > 0 ? static_cast<size_t>(value) : 0;
      } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        std::memcpy(source.local, &info.ipi_spec_dst, 4);
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info;
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        std::memcpy(source.local, &info.ipi6_addr, 16);
        // Only a link-local address is bound to its interface; others follow the routes.
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) source.local_interface = info.ipi6_ifindex;
      }
    }

    const size_t total = std::min<size_t>(headers_[m].msg_len, buffer_size_);
    const uint8_t* bytes = vector.arena + m * buffer_size_;
    if (segment == 0 || segment > total) segment = total;
    size_t at = 0;
    bool open = false;  // the last run may be continued
    uint64_t open_key = 0;
    do {
      const size_t size = std::min(segment, total - at);
      uint64_t key = 0;
      if (size >= 8) std::memcpy(&key, bytes + at, 8);
      if (counts.messages >= vector.message_capacity ||
          (!(open && key == open_key) && counts.length >= vector.capacity)) {
        counts.dropped++;
        open = false;
      } else if (open && key == open_key) {
        const uint32_t run = counts.length - 1;
        vector.count[run]++;
        vector.last_size[run] = static_cast<int32_t>(size);
        counts.messages++;
      } else {
        const uint32_t run = counts.length++;
        vector.offset[run] = static_cast<int32_t>(m * buffer_size_ + at);
        vector.stride[run] = vector.last_size[run] = static_cast<int32_t>(size);
        vector.count[run] = 1;
        vector.head[run] = static_cast<uint32_t>(key);
        vector.receiver[run] = static_cast<uint32_t>(key >> 32);
        vector.slot[run] = -1;
        vector.source[run] = m;
        vector.first[run] = static_cast<int32_t>(counts.messages++);
        open = size >= 8;
        open_key = key;
      }
      at += size;
    } while (at < total);
  }
  return counts;
}

UdpSender::UdpSender(uint32_t endpoints) : refused_(endpoints) {}

void UdpSender::forget_paths() { std::fill(refused_.begin(), refused_.end(), uint16_t{0}); }

// Collects datagrams of one address family from where the vector stands. False: nothing is left.
bool UdpSender::gather(bool gso4, bool gso6, const OutboundVector& vector, uint32_t length,
                       const EndpointTable& endpoints, int* family, SendCounts* counts) {
  batches_ = 0;
  *family = 0;
  size_t pieces = 0;
  bool open = false;  // the last batch may take more
  while (entry_ < length && entry_ < vector.capacity && pieces < kPieces) {
    Run run;
    const int32_t slot = vector.slot[entry_];
    if ((slot < 0 && slot != -2) || !vector.run_at(entry_, &run) || message_ >= run.count) {
      entry_++, message_ = 0;
      continue;
    }
    const uint32_t index = static_cast<uint32_t>(vector.endpoint[entry_]);
    const uint16_t to = index < endpoints.capacity ? endpoints.records[index].family : uint16_t{0};
    if (to != 4 && to != 6) {
      // Counted when everything before it is gone: blocked or refused, the same way is gone again.
      if (batches_ > 0) break;
      counts->unreachable += static_cast<uint32_t>(run.count - message_);
      entry_++, message_ = 0;
      continue;
    }
    if (*family == 0) *family = to;
    if (*family != to) break;
    const size_t size = run.size_of(message_);
    const uint16_t refused = index < refused_.size() ? refused_[index] : uint16_t{0};
    const bool gso = (to == 4 ? gso4 : gso6) && (refused == 0 || size < refused);

    Batch* batch = batches_ > 0 ? &batch_[batches_ - 1] : nullptr;
    msghdr* header = batch ? &headers_[batches_ - 1].msg_hdr : nullptr;
    // An empty datagram is no segment: the kernel would not see it.
    if (!(open && gso && batch->endpoint == index && size > 0 && size <= batch->size &&
          batch->count < kMaxSegments && (batch->count + 1) * batch->size <= kMaxDatagram)) {
      if (batches_ == kBatch) break;
      batch = &batch_[batches_];
      header = &headers_[batches_].msg_hdr;
      *batch = {entry_, message_, index, 0, static_cast<uint32_t>(size)};
      *header = msghdr{};
      header->msg_name = &names_[batches_];
      header->msg_iov = &pieces_[pieces];
      batches_++;
    }
    // As many of this run as fit: only the very last datagram of a batch may be shorter.
    size_t take = 1;
    if (gso && size == batch->size && size == run.stride && size > 0) {
      const size_t room = std::min(kMaxSegments - batch->count,
                                   kMaxDatagram / size - batch->count);
      take = std::max<size_t>(1, std::min(run.count - message_, room));
    }
    const size_t last = run.size_of(message_ + take - 1);
    pieces_[pieces++] = {run.first + message_ * run.stride, (take - 1) * run.stride + last};
    header->msg_iovlen++;
    batch->count += static_cast<uint32_t>(take);
    open = gso && last == batch->size;
    message_ += static_cast<uint32_t>(take);
    if (message_ >= run.count) entry_++, message_ = 0;
  }

  for (size_t b = 0; b < batches_; b++) {
    const Endpoint& endpoint = endpoints.records[batch_[b].endpoint];
    msghdr& header = headers_[b].msg_hdr;
    header.msg_namelen = to_sockaddr(endpoint, &names_[b]);
    cmsghdr* at = reinterpret_cast<cmsghdr*>(control_[b]);
    if (batch_[b].count > 1) {
      const uint16_t segment = static_cast<uint16_t>(batch_[b].size);
      at = put_control(&header, at, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    if (endpoint.family == 4 && any(endpoint.local, 4)) {
      in_pktinfo info{};
      info.ipi_ifindex = static_cast<int>(endpoint.local_interface);
      std::memcpy(&info.ipi_spec_dst, endpoint.local, 4);
      put_control(&header, at, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (endpoint.family == 6 && any(endpoint.local, 16)) {
      in6_pktinfo info{};
      info.ipi6_ifindex = endpoint.local_interface;
      std::memcpy(&info.ipi6_addr, endpoint.local, 16);
      put_control(&header, at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    if (header.msg_controllen > 0) header.msg_control = control_[b];
  }
  return batches_ > 0;
}

SendCounts UdpSender::send(int fd4, int fd6, bool gso4, bool gso6, OutboundVector& vector,
                           uint32_t length, EndpointTable& endpoints) {
  SendCounts counts;
  int family = 0;
  while (gather(gso4, gso6, vector, length, endpoints, &family, &counts)) {
    const uint32_t end_entry = entry_, end_message = message_;
    const int fd = family == 4 ? fd4 : fd6;
    size_t done = 0;
    while (done < batches_) {
      int sent = -1;
      if (fd >= 0) {
        sent = sendmmsg(fd, headers_ + done, static_cast<unsigned>(batches_ - done), 0);
      } else {
        errno = EAFNOSUPPORT;
      }
      if (sent > 0) {
        done += static_cast<size_t>(sent);
        continue;
      }
      if (errno == EINTR) continue;
      const Batch& batch = batch_[done];
      entry_ = batch.entry;
      message_ = batch.message;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        counts.blocked = family;
        return counts;
      }
      Endpoint& endpoint = endpoints.records[batch.endpoint];
      // EINVAL may mean either of the next two (kernels before 6.14 refuse a long segment with it):
      // segmentation first, so that a local address which still is ours is kept.
      const bool segmentation = errno == EINVAL || errno == EMSGSIZE || errno == EIO;
      if (segmentation && batch.count > 1 && batch.endpoint < refused_.size()) {
        // The path's MTU is below the message: one by one, and the kernel fragments.
        refused_[batch.endpoint] = static_cast<uint16_t>(batch.size);
        break;
      }
      const bool address_gone = errno == EINVAL || errno == EADDRNOTAVAIL || errno == ENODEV ||
                                errno == ENETUNREACH || errno == EHOSTUNREACH;
      if (address_gone && (endpoint.local_interface != 0 || any(endpoint.local, 16))) {
        // Sticky, but not too sticky: the local address went away, let the kernel choose. The path
        // is another one then, and may segment.
        std::memset(endpoint.local, 0, sizeof endpoint.local);
        endpoint.local_interface = 0;
        if (batch.endpoint < refused_.size()) refused_[batch.endpoint] = 0;
        break;
      }
      (errno == EAFNOSUPPORT ? counts.unreachable
       : errno == EMSGSIZE   ? counts.too_long
                             : counts.errors) += batch.count;
      done++;
      entry_ = end_entry;
      message_ = end_message;
      if (done < batches_) entry_ = batch_[done].entry, message_ = batch_[done].message;
    }
    if (done == batches_) entry_ = end_entry, message_ = end_message;
  }
  return counts;
}

}  // namespace causeway
