#include "chacha20-poly1305.h"

#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>

#include "vector.h"

namespace causeway {

namespace {

inline void store_le64(uint8_t* to, uint64_t value) {
  for (int i = 0; i < 8; i++) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

// ---- the functions underneath ------------------------------------------------------------------

struct Primitives {
  void (*chacha20)(uint8_t* out, const uint8_t* in, size_t size, const uint32_t key[8],
                   const uint32_t counter[4]) = nullptr;
  void (*poly1305_init)(void* state, const uint8_t key[32]) = nullptr;
  void (*poly1305_update)(void* state, const uint8_t* in, size_t size) = nullptr;
  void (*poly1305_final)(void* state, uint8_t tag[16]) = nullptr;
  size_t (*poly1305_state_size)() = nullptr;
  bool usable = false;
};

// Enough for the state of every version so far (about 250 bytes); a larger one is not used.
constexpr size_t kPolyStateSize = 512;

template <typename F>
bool find(F& function, const char* name) {
  function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

const Primitives& primitives() {
  static const Primitives found = [] {
    Primitives p;
    p.usable = find(p.chacha20, "ChaCha20_ctr32") && find(p.poly1305_init, "Poly1305_Init") &&
               find(p.poly1305_update, "Poly1305_Update") &&
               find(p.poly1305_final, "Poly1305_Final") &&
               find(p.poly1305_state_size, "Poly1305_ctx_size") &&
               p.poly1305_state_size() <= kPolyStateSize;
    return p;
  }();
  return found;
}

constexpr size_t kBlock = 64;

class DirectCipher final : public Cipher {
 public:
  DirectCipher(const Primitives& primitives, const uint8_t key[kKeySize]) : p_(primitives) {
    std::memcpy(key_, key, sizeof key_);  // eight little-endian words; so are our machines
  }
  ~DirectCipher() override { OPENSSL_cleanse(key_, sizeof key_); }

  bool seal(uint8_t* body, size_t size, uint64_t counter, bool room_before) override {
    uint32_t position[4] = {0, 0, static_cast<uint32_t>(counter),
                            static_cast<uint32_t>(counter >> 32)};
    alignas(32) uint8_t block[kBlock];
    if (room_before) {
      // Block 0, the one-time key, and the text in one stroke: saves a call that would fill
      // vector registers for 64 bytes.
      uint8_t saved[kBlock];
      uint8_t* const start = body - kBlock;
      std::memcpy(saved, start, kBlock);
      std::memset(start, 0, kBlock);
      p_.chacha20(start, start, kBlock + size, key_, position);
      std::memcpy(block, start, kBlock);
      std::memcpy(start, saved, kBlock);
    } else {
      one_time_key(block, position);
      p_.chacha20(body, body, size, key_, position);
    }
    authenticate(block, body, size, body + size);
    explicit_bzero(block, kKeySize);
    return true;
  }

  bool open(uint8_t* body, size_t size, uint64_t counter) override {
    uint32_t position[4] = {0, 0, static_cast<uint32_t>(counter),
                            static_cast<uint32_t>(counter >> 32)};
    alignas(32) uint8_t block[kBlock];
    uint8_t tag[kTagSize];
    one_time_key(block, position);
    authenticate(block, body, size, tag);
    explicit_bzero(block, kKeySize);
    if (CRYPTO_memcmp(tag, body + size, kTagSize) != 0) return false;
    p_.chacha20(body, body, size, key_, position);
    return true;
  }

 private:
  // Leaves `position` at block 1, where the text begins.
  void one_time_key(uint8_t block[kBlock], uint32_t position[4]) const {
    std::memset(block, 0, kBlock);
    p_.chacha20(block, block, kBlock, key_, position);
    position[0] = 1;
  }

  void authenticate(const uint8_t one_time[kKeySize], const uint8_t* text, size_t size,
                    uint8_t tag[kTagSize]) const {
    alignas(32) uint8_t state[kPolyStateSize];
    uint8_t tail[32] = {0};
    const size_t whole = size & ~size_t{15}, rest = size & 15;
    std::memcpy(tail, text + whole, rest);
    const size_t lengths = rest == 0 ? 0 : 16;
    store_le64(tail + lengths + 8, size);
    p_.poly1305_init(state, one_time);
    p_.poly1305_update(state, text, whole);
    p_.poly1305_update(state, tail, lengths + 16);
    p_.poly1305_final(state, tag);
  }

  const Primitives& p_;
  uint32_t key_[8];
};

// ---- EVP ---------------------------------------------------------------------------------------

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// Fetched once per process: an implicit fetch would look the name up at each initialisation.
const EVP_CIPHER* fetched_cipher() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return cipher;
}

class EvpCipher final : public Cipher {
 public:
  static std::unique_ptr<EvpCipher> make(const uint8_t key[kKeySize], bool sealing) {
    auto made = std::make_unique<EvpCipher>();
    made->context_.reset(EVP_CIPHER_CTX_new());
    if (!made->context_ || fetched_cipher() == nullptr ||
        EVP_CipherInit_ex2(made->context_.get(), fetched_cipher(), key, nullptr, sealing ? 1 : 0,
                           nullptr) != 1) {
      return nullptr;
    }
    return made;
  }

  bool seal(uint8_t* body, size_t size, uint64_t counter, bool) override {
    uint8_t nonce[12] = {0};
    store_le64(nonce + 4, counter);
    int written = 0;
    tag_[0].data = body + size;
    EVP_CIPHER_CTX* const context = context_.get();
    return EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) == 1 &&
           EVP_EncryptUpdate(context, body, &written, body, static_cast<int>(size)) == 1 &&
           EVP_EncryptFinal_ex(context, body + size, &written) == 1 &&
           EVP_CIPHER_CTX_get_params(context, tag_) == 1;
  }

  bool open(uint8_t* body, size_t size, uint64_t counter) override {
    uint8_t nonce[12] = {0};
    store_le64(nonce + 4, counter);
    int written = 0;
    tag_[0].data = body + size;
    EVP_CIPHER_CTX* const context = context_.get();
    return EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) == 1 &&
           EVP_CIPHER_CTX_set_params(context, tag_) == 1 &&
           EVP_DecryptUpdate(context, body, &written, body, static_cast<int>(size)) == 1 &&
           EVP_DecryptFinal_ex(context, body + size, &written) == 1;
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, ContextFree> context_;
  OSSL_PARAM tag_[2] = {
      OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, kTagSize),
      OSSL_PARAM_construct_end()};
};

}  // namespace

std::unique_ptr<Cipher> make_cipher(const uint8_t key[kKeySize], bool sealing, bool evp) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keys are copied as words");
  if (!evp && primitives().usable) return std::make_unique<DirectCipher>(primitives(), key);
  return EvpCipher::make(key, sealing);
}

}  // namespace causeway
