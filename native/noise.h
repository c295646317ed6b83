// The functions under the Noise handshake (WireGuard's whitepaper § 5.4): X25519, BLAKE2s, its keyed
// and HMAC forms, and ChaCha20-Poly1305 with counter 0, by the OpenSSL that node itself carries.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace causeway {

// Works in 416 bytes that the caller fills and reads: handing an array over for every argument would
// cost more than most of the functions. Key and input are wiped by every call, the output by the
// caller.
class Noise {
 public:
  static constexpr size_t kHash = 32, kMac = 16, kTag = 16;
  static constexpr size_t kMostOutputs = 3;  // of a KDF
  static constexpr size_t kOutputSize = kMostOutputs * kHash;
  static constexpr size_t kInputSize = 288;
  // Output, key (or scalar), input (or point): in this order.
  static constexpr size_t kAreaSize = kOutputSize + kHash + kInputSize;

  // Null if this OpenSSL lacks one of the functions.
  static std::unique_ptr<Noise> make(uint8_t* area);

  // All of them are false if OpenSSL refuses, or if the input is larger than its room.
  bool hash(size_t input);                    // output: 32 bytes
  bool mac(size_t input);                     // output: 16 bytes
  bool kdf(size_t input, uint32_t outputs);   // 1 to 3 outputs of 32 bytes: HKDF without info
  bool x25519();                              // false too if the result is all zero
  bool x25519_base();
  // Input: `text` bytes, then `authenticated` bytes. Output: the ciphertext and its tag. The text
  // must be at most 32 bytes, as all of the handshake's are.
  bool seal(size_t text, size_t authenticated);
  // Input: `sealed` bytes with their tag, then `authenticated` bytes. Output: the text.
  bool open(size_t sealed, size_t authenticated);

 private:
  template <auto function>
  struct Free {
    template <typename T>
    void operator()(T* object) const {
      function(object);
    }
  };
  template <typename T, auto function>
  using Owned = std::unique_ptr<T, Free<function>>;

  explicit Noise(uint8_t* area) : area_(area) {}
  uint8_t* output() const { return area_; }
  uint8_t* key() const { return area_ + kOutputSize; }
  uint8_t* input() const { return area_ + kOutputSize + kHash; }
  // Wipes key and input; passes `result` on.
  bool done(bool result);
  bool blake2s(uint8_t out[kHash], const uint8_t* first, size_t first_size, const uint8_t* second,
               size_t second_size);
  bool hmac(uint8_t out[kHash], const uint8_t secret[kHash], const uint8_t* data, size_t size);
  bool start_cipher(bool sealing, const uint8_t* authenticated, size_t size);
  // As done(), after start_cipher().
  bool end_cipher(bool result);

  uint8_t* const area_;
  Owned<EVP_MD, EVP_MD_free> digest_;
  Owned<EVP_MD_CTX, EVP_MD_CTX_free> digesting_;
  Owned<EVP_MAC, EVP_MAC_free> keyed_;
  Owned<EVP_MAC_CTX, EVP_MAC_CTX_free> keying_;
  Owned<EVP_CIPHER, EVP_CIPHER_free> cipher_;
  Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> sealing_;
};

}  // namespace causeway
