#include "tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace causeway {

namespace {

// Linux 6.2; the build machine's headers may be older.
constexpr unsigned kTunFUso4 = 0x20, kTunFUso6 = 0x40;
constexpr size_t kMaxPacket = 65536;

TunDevice failed(TunDevice device) {
  device.error = errno;
  if (device.fd >= 0) close(device.fd);
  device.fd = -1;
  return device;
}

}  // namespace

TunDevice open_tun(const char* name, bool exclusive, bool multi_queue, bool offload, int mtu) {
  TunDevice device;
  device.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device.fd < 0) return failed(device);
  ifreq request{};
  if (std::strlen(name) >= sizeof request.ifr_name) {
    errno = ENAMETOOLONG;
    return failed(device);
  }
  std::strcpy(request.ifr_name, name);
  unsigned flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (exclusive) flags |= IFF_TUN_EXCL;
  if (multi_queue) flags |= IFF_MULTI_QUEUE;
  request.ifr_flags = static_cast<short>(flags);
  if (ioctl(device.fd, TUNSETIFF, &request) < 0) return failed(device);
  device.name.assign(request.ifr_name, strnlen(request.ifr_name, sizeof request.ifr_name));
  const int header_size = sizeof(VirtioNetHeader);
  if (ioctl(device.fd, TUNSETVNETHDRSZ, &header_size) < 0) return failed(device);
  constexpr unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (offload && ioctl(device.fd, TUNSETOFFLOAD, tcp | kTunFUso4 | kTunFUso6) == 0) {
    device.tcp_offload = device.udp_offload = true;
  } else if (offload && ioctl(device.fd, TUNSETOFFLOAD, tcp) == 0) {
    device.tcp_offload = true;
  } else if (ioctl(device.fd, TUNSETOFFLOAD, 0) < 0) {
    return failed(device);
  }
  if (mtu > 0) {
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_mtu = mtu;
    const bool set = control >= 0 && ioctl(control, SIOCSIFMTU, &request) == 0;
    const int error = errno;
    if (control >= 0) close(control);
    errno = error;
    if (!set) return failed(device);
  }
  return device;
}

std::string tun_name(int fd) {
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) < 0) return {};
  return std::string(request.ifr_name, strnlen(request.ifr_name, sizeof request.ifr_name));
}

TunReader::TunReader() : scratch_(kMaxPacket) {}

TunReadCounts TunReader::read(int fd, OutboundVector& vector, uint32_t length, uint32_t used,
                              size_t mtu, size_t max_bytes) {
  TunReadCounts counts;
  counts.length = length;
  counts.used = used;
  if (used > vector.arena_size || length > vector.capacity) {
    counts.error = EINVAL;
    return counts;
  }
  while (counts.length < vector.capacity && counts.used - used < max_bytes) {
    size_t size = waiting_;
    waiting_ = 0;
    if (size == 0) {
      iovec pieces[2] = {{&header_, sizeof header_}, {scratch_.data(), scratch_.size()}};
      const ssize_t got = readv(fd, pieces, 2);
      if (got < 0) {
        if (errno == EINTR) continue;
        counts.error = errno;
        return counts;
      }
      if (got == 0) {  // no TUN ends like this: the descriptor is of another kind
        counts.error = EIO;
        return counts;
      }
      if (got < static_cast<ssize_t>(sizeof header_)) {
        counts.malformed++;
        continue;
      }
      size = static_cast<size_t>(got) - sizeof header_;
    }
    SplitRun run;
    const size_t room = vector.arena_size - counts.used;
    switch (split(header_, scratch_.data(), size, mtu, vector.arena + counts.used, room, &run)) {
      case SplitResult::kOk:
        break;
      case SplitResult::kOptions:
        counts.options++;
        continue;
      case SplitResult::kUnknownOffload:
        counts.unknown_offload++;
        continue;
      case SplitResult::kNoRoom:
        if (counts.used > 0) {
          waiting_ = size;
          return counts;
        }
        [[fallthrough]];  // not even an empty arena holds it
      case SplitResult::kMalformed:
        counts.malformed++;
        continue;
    }
    const uint32_t at = counts.length++;
    vector.offset[at] = static_cast<int32_t>(counts.used);
    vector.stride[at] = static_cast<int32_t>(run.stride);
    vector.count[at] = static_cast<int32_t>(run.count);
    vector.last_size[at] = static_cast<int32_t>(run.last_size);
    vector.slot[at] = -1;
    // 16-byte alignment keeps the AEAD's loads of the next run aligned.
    counts.used += static_cast<uint32_t>((run.bytes() + 15) & ~size_t{15});
    if (counts.used > vector.arena_size) counts.used = static_cast<uint32_t>(vector.arena_size);
  }
  return counts;
}

}  // namespace causeway
