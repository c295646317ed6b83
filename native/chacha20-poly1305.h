// ChaCha20-Poly1305 (RFC 8439 § 2.8) of one message, without additional data, by node's OpenSSL.
//
// Two ways to the same code. OpenSSL's EVP interface costs about 300 ns a message, a quarter of the
// whole at 1,420 bytes, in looking up parameters and in a second call for the one-time key. So where
// the node binary exports the functions underneath (ChaCha20_ctr32, Poly1305_*; they have been the
// same since OpenSSL 1.1.0), they are called directly. What is taken is tested against noble before
// it is used, see src/gateway/data-plane/crypto-choice.ts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace causeway {

constexpr size_t kKeySize = 32;

// One direction of a session. Keys are wiped on destruction.
class Cipher {
 public:
  virtual ~Cipher() = default;
  // Encrypts `size` bytes at `body` in place and writes 16 bytes of tag behind them. The 64 bytes
  // before `body` are used and restored if `room_before` says that they are there.
  virtual bool seal(uint8_t* body, size_t size, uint64_t counter, bool room_before) = 0;
  // Verifies the tag behind `size` bytes at `body`, then decrypts them in place.
  virtual bool open(uint8_t* body, size_t size, uint64_t counter) = 0;
};

// Null if OpenSSL refuses. With `evp`, by the EVP interface even where there is a faster way.
std::unique_ptr<Cipher> make_cipher(const uint8_t key[kKeySize], bool sealing, bool evp);

}  // namespace causeway
