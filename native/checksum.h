// The Internet checksum (RFC 1071), in memory byte order throughout: a folded sum can be stored with
// memcpy on any machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace causeway {

// Adds the 16-bit words of `size` bytes to a running sum; an odd last byte is padded with zero.
// Four independent 64-bit sums of 32-bit words, so that the compiler vectorises the loop.
inline uint64_t checksum_add(uint64_t sum, const uint8_t* bytes, size_t size) {
  uint64_t lane[4] = {0, 0, 0, 0};
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    uint32_t word[4];
    std::memcpy(word, bytes + i, sizeof word);
    for (int k = 0; k < 4; k++) lane[k] += word[k];
  }
  for (; i + 4 <= size; i += 4) {
    uint32_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    lane[0] += word;
  }
  if (i < size) {
    uint32_t word = 0;
    std::memcpy(&word, bytes + i, size - i);
    lane[1] += word;
  }
  // Each lane is below 2^46 (at most 2^14 words of 32 bits), the sum of all far below 2^64.
  return sum + lane[0] + lane[1] + lane[2] + lane[3];
}

inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

inline uint16_t to_big_endian(uint16_t value) { return __builtin_bswap16(value); }

}  // namespace causeway
