// What the kernel hands over on a TUN with IFF_VNET_HDR, cut into messages ready to be sealed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace causeway {

// struct virtio_net_hdr (virtio 1.2 § 5.1.6), little-endian; linux/virtio_net.h is no C++.
struct VirtioNetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
};
static_assert(sizeof(VirtioNetHeader) == 10, "virtio_net_hdr layout");

constexpr uint8_t kVirtioNeedsCsum = 1;
constexpr uint8_t kVirtioGsoNone = 0;
constexpr uint8_t kVirtioGsoTcpV4 = 1;
constexpr uint8_t kVirtioGsoTcpV6 = 4;
constexpr uint8_t kVirtioGsoUdpL4 = 5;
constexpr uint8_t kVirtioGsoEcn = 0x80;

enum class SplitResult : uint8_t { kOk, kMalformed, kOptions, kUnknownOffload, kNoRoom };

// Where the messages of one packet were put: see Run in vector.h.
struct SplitRun {
  size_t stride = 0;
  size_t count = 0;
  size_t last_size = 0;
  size_t bytes() const { return (count - 1) * stride + last_size; }
};

// Bytes of plaintext after padding to 16, never above the MTU (whitepaper § 5.4.6; a packet above
// the MTU is padded by its remainder, as every other implementation does).
size_t padded_size(size_t size, size_t mtu);

// Cuts one packet of `size` bytes at `packet` (which is modified) into messages at `to`: room for
// the message header, the packet or segment with its lengths and checksums complete, zero padding,
// room for the tag.
SplitResult split(const VirtioNetHeader& header, uint8_t* packet, size_t size, size_t mtu,
                  uint8_t* to, size_t room, SplitRun* run);

}  // namespace causeway
