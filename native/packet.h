// Reading inner IP, TCP and UDP headers. Everything is bounds-checked here, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "checksum.h"

namespace causeway {

constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;

inline uint16_t load_be16(const uint8_t* from) {
  return static_cast<uint16_t>(from[0] << 8 | from[1]);
}
inline uint32_t load_be32(const uint8_t* from) {
  return uint32_t{from[0]} << 24 | uint32_t{from[1]} << 16 | uint32_t{from[2]} << 8 | from[3];
}
inline void store_be16(uint8_t* to, size_t value) {
  to[0] = static_cast<uint8_t>(value >> 8);
  to[1] = static_cast<uint8_t>(value);
}
inline void store_be32(uint8_t* to, uint32_t value) {
  store_be16(to, value >> 16);
  store_be16(to + 2, value & 0xffff);
}

enum class IpState : uint8_t { kMalformed, kOptions, kOk };

struct IpPacket {
  IpState state = IpState::kMalformed;
  bool v6 = false;
  bool fragment = false;
  uint8_t protocol = 0;     // next header; of an IPv6 packet with extension headers, the first of them
  size_t header_size = 0;   // 20 or 40
  size_t size = 0;          // the length that the packet claims, ≤ the bytes there are
};

inline IpPacket read_ip(const uint8_t* bytes, size_t size) {
  IpPacket packet;
  if (size < 20) return packet;
  if (bytes[0] >> 4 == 4) {
    const size_t header = size_t{bytes[0] & 15u} * 4;
    const size_t total = load_be16(bytes + 2);
    if (header < 20 || total < header || total > size) return packet;
    packet.header_size = header;
    packet.size = total;
    packet.protocol = bytes[9];
    packet.fragment = (load_be16(bytes + 6) & 0x3fff) != 0;
    packet.state = header == 20 ? IpState::kOk : IpState::kOptions;
  } else if (bytes[0] >> 4 == 6 && size >= 40) {
    const size_t total = size_t{40} + load_be16(bytes + 4);
    if (total > size) return packet;
    packet.v6 = true;
    packet.header_size = 40;
    packet.size = total;
    packet.protocol = bytes[6];
    packet.state = IpState::kOk;
  }
  return packet;
}

// Unfolded sum of the pseudo-header (RFC 793 § 3.1, RFC 8200 § 8.1).
inline uint64_t pseudo_header_sum(const uint8_t* ip, bool v6, uint8_t protocol, size_t l4_size) {
  uint8_t tail[8] = {0, 0, 0, 0, 0, 0, 0, protocol};
  store_be32(tail, static_cast<uint32_t>(l4_size));
  const uint64_t addresses = v6 ? checksum_add(0, ip + 8, 32) : checksum_add(0, ip + 12, 8);
  return checksum_add(addresses, tail, sizeof tail);
}

inline void write_ipv4_checksum(uint8_t* ip) {
  ip[10] = ip[11] = 0;
  const uint16_t sum = static_cast<uint16_t>(~checksum_fold(checksum_add(0, ip, 20)));
  std::memcpy(ip + 10, &sum, 2);
}

inline bool ipv4_checksum_ok(const uint8_t* ip) {
  return checksum_fold(checksum_add(0, ip, 20)) == 0xffff;
}

inline bool l4_checksum_ok(const uint8_t* ip, bool v6, uint8_t protocol, const uint8_t* l4,
                           size_t l4_size) {
  const uint64_t sum = checksum_add(pseudo_header_sum(ip, v6, protocol, l4_size), l4, l4_size);
  return checksum_fold(sum) == 0xffff;
}

}  // namespace causeway
