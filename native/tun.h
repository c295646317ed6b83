// A TUN device with virtio headers: opening it, and reading it straight into messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "split.h"
#include "vector.h"

namespace causeway {

struct TunDevice {
  int fd = -1;
  int error = 0;      // errno of what failed
  std::string name;
  bool tcp_offload = false;  // TSO4, TSO6 and checksums
  bool udp_offload = false;  // USO4, USO6 (Linux 6.2)
};

// Opens or creates the device `name`. With `exclusive`, a name that exists is an error (EEXIST
// or EBUSY); with `multi_queue`, each call adds a queue. `offload` asks for TSO, USO and checksums;
// an MTU of 0 leaves the kernel's.
TunDevice open_tun(const char* name, bool exclusive, bool multi_queue, bool offload, int mtu);

// What the device behind the descriptor is called now, in whatever namespace; empty if it is gone.
std::string tun_name(int fd);

struct TunReadCounts {
  int error = 0;  // 0: more may wait; EAGAIN: drained; else errno
  uint32_t length = 0;
  uint32_t used = 0;
  uint32_t malformed = 0;
  uint32_t options = 0;
  uint32_t unknown_offload = 0;
};

class TunReader {
 public:
  TunReader();

  // Appends packets behind entry `length` and arena byte `used` until the TUN is drained, the
  // vector is full, or `max_bytes` of messages were appended.
  TunReadCounts read(int fd, OutboundVector& vector, uint32_t length, uint32_t used, size_t mtu,
                     size_t max_bytes);

 private:
  std::vector<uint8_t> scratch_;
  VirtioNetHeader header_{};
  size_t waiting_ = 0;  // bytes in the scratch buffer that found no room in the last vector
};

}  // namespace causeway
