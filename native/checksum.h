// The Internet checksum (RFC 1071), in memory byte order throughout: a folded sum can be stored with
// memcpy on any machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace causeway {

// Adds the 16-bit words of `size` bytes to a running sum; an odd last byte is padded with zero.
uint64_t checksum_add(uint64_t sum, const uint8_t* bytes, size_t size);

inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

inline uint16_t to_big_endian(uint16_t value) { return __builtin_bswap16(value); }

}  // namespace causeway
