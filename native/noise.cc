#include "noise.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include <cstring>

namespace causeway {

namespace {

constexpr size_t kBlock = 64;  // of BLAKE2s
constexpr uint8_t kNoKey[32] = {0};

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;

struct KeyContextFree {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, KeyContextFree>;

// A private key object without the scalar multiplication that deriving its public half would cost:
// a public half is handed in, and X25519 never reads it.
Key private_key(const uint8_t scalar[32]) {
  static const uint8_t unused_public[32] = {9};
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr));
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<uint8_t*>(unused_public), sizeof unused_public),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, const_cast<uint8_t*>(scalar), 32),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params) != 1) return nullptr;
  return Key(key);
}

bool shared_secret(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]) {
  const Key ours = private_key(scalar);
  const Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, point, 32));
  if (!ours || !theirs) return false;
  const KeyContext context(EVP_PKEY_CTX_new(ours.get(), nullptr));
  size_t size = 32;
  // Fails on an all-zero result (RFC 7748 § 6.1).
  return context && EVP_PKEY_derive_init(context.get()) == 1 &&
         EVP_PKEY_derive_set_peer(context.get(), theirs.get()) == 1 &&
         EVP_PKEY_derive(context.get(), out, &size) == 1 && size == 32;
}

bool public_key(uint8_t out[32], const uint8_t scalar[32]) {
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar, 32));
  size_t size = 32;
  return key && EVP_PKEY_get_raw_public_key(key.get(), out, &size) == 1 && size == 32;
}

}  // namespace

std::unique_ptr<Noise> Noise::make(uint8_t* area) {
  std::unique_ptr<Noise> made(new Noise(area));
  made->digest_.reset(EVP_MD_fetch(nullptr, "BLAKE2S-256", nullptr));
  made->digesting_.reset(EVP_MD_CTX_new());
  made->keyed_.reset(EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr));
  if (made->keyed_) made->keying_.reset(EVP_MAC_CTX_new(made->keyed_.get()));
  made->cipher_.reset(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
  made->sealing_.reset(EVP_CIPHER_CTX_new());
  size_t size = kMac;
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};
  if (!made->digest_ || !made->digesting_ || !made->keying_ || !made->cipher_ || !made->sealing_ ||
      EVP_MAC_CTX_set_params(made->keying_.get(), params) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return made;
}

bool Noise::done(bool result) {
  explicit_bzero(key(), kHash + kInputSize);
  // Node's TLS takes what it finds in the thread's queue of errors for its own.
  if (!result) ERR_clear_error();
  return result;
}

bool Noise::blake2s(uint8_t out[kHash], const uint8_t* first, size_t first_size,
                    const uint8_t* second, size_t second_size) {
  EVP_MD_CTX* const context = digesting_.get();
  unsigned written = 0;
  return EVP_DigestInit_ex2(context, digest_.get(), nullptr) == 1 &&
         EVP_DigestUpdate(context, first, first_size) == 1 &&
         (second_size == 0 || EVP_DigestUpdate(context, second, second_size) == 1) &&
         EVP_DigestFinal_ex(context, out, &written) == 1 && written == kHash;
}

// RFC 2104. By hand: OpenSSL's HMAC sets up three digest contexts for every key, and no key of the
// handshake is used for more than four messages.
bool Noise::hmac(uint8_t out[kHash], const uint8_t secret[kHash], const uint8_t* data,
                 size_t size) {
  uint8_t inner[kBlock], outer[kBlock];
  std::memset(inner, 0x36, kBlock);
  std::memset(outer, 0x5c, kBlock);
  for (size_t i = 0; i < kHash; i++) {
    inner[i] ^= secret[i];
    outer[i] ^= secret[i];
  }
  uint8_t digest[kHash];
  const bool fine = blake2s(digest, inner, kBlock, data, size) &&
                    blake2s(out, outer, kBlock, digest, kHash);
  explicit_bzero(inner, sizeof inner);
  explicit_bzero(outer, sizeof outer);
  explicit_bzero(digest, sizeof digest);
  return fine;
}

bool Noise::hash(size_t size) {
  return done(size <= kInputSize && blake2s(output(), input(), size, nullptr, 0));
}

bool Noise::mac(size_t size) {
  EVP_MAC_CTX* const context = keying_.get();
  size_t written = 0;
  const bool fine = size <= kInputSize && EVP_MAC_init(context, key(), kHash, nullptr) == 1 &&
                    EVP_MAC_update(context, input(), size) == 1 &&
                    EVP_MAC_final(context, output(), &written, kMac) == 1 && written == kMac;
  // The context keeps its key until it gets another one.
  return done(EVP_MAC_init(context, kNoKey, kHash, nullptr) == 1 && fine);
}

bool Noise::kdf(size_t size, uint32_t outputs) {
  if (size > kInputSize || outputs < 1 || outputs > kMostOutputs) return done(false);
  // τ0 := Hmac(key, input), τ_i := Hmac(τ0, τ_i-1 ‖ i), τ_1 without a τ before it
  uint8_t t0[kHash], chained[kHash + 1];
  bool fine = hmac(t0, key(), input(), size);
  for (uint32_t i = 0; i < outputs && fine; i++) {
    chained[kHash] = static_cast<uint8_t>(i + 1);
    const uint8_t* const from = i == 0 ? chained + kHash : chained;
    fine = hmac(output() + i * kHash, t0, from, static_cast<size_t>(chained + kHash + 1 - from));
    std::memcpy(chained, output() + i * kHash, kHash);
  }
  explicit_bzero(t0, sizeof t0);
  explicit_bzero(chained, sizeof chained);
  return done(fine);
}

bool Noise::x25519() {
  return done(shared_secret(output(), key(), input()));
}

bool Noise::x25519_base() {
  return done(public_key(output(), key()));
}

bool Noise::start_cipher(bool sealing, const uint8_t* authenticated, size_t size) {
  static const uint8_t nonce[12] = {0};  // every key of the handshake seals once
  EVP_CIPHER_CTX* const context = sealing_.get();
  int written = 0;
  return EVP_CipherInit_ex2(context, cipher_.get(), key(), nonce, sealing ? 1 : 0, nullptr) == 1 &&
         EVP_CipherUpdate(context, nullptr, &written, authenticated, static_cast<int>(size)) == 1;
}

bool Noise::end_cipher(bool result) {
  // The context keeps its key until it gets another one.
  return done(EVP_CipherInit_ex2(sealing_.get(), nullptr, kNoKey, nullptr, 1, nullptr) == 1 &&
              result);
}

bool Noise::seal(size_t text, size_t authenticated) {
  if (text > kHash || authenticated > kInputSize - kHash) return done(false);
  EVP_CIPHER_CTX* const context = sealing_.get();
  int written = 0;
  return end_cipher(
      start_cipher(true, input() + text, authenticated) &&
      EVP_CipherUpdate(context, output(), &written, input(), static_cast<int>(text)) == 1 &&
      EVP_CipherFinal_ex(context, output() + text, &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTag, output() + text) == 1);
}

bool Noise::open(size_t sealed, size_t authenticated) {
  if (sealed < kTag || sealed > kHash + kTag || authenticated > kInputSize - kHash - kTag) {
    return done(false);
  }
  EVP_CIPHER_CTX* const context = sealing_.get();
  const size_t text = sealed - kTag;
  int written = 0;
  return end_cipher(
      start_cipher(false, input() + sealed, authenticated) &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTag, input() + text) == 1 &&
      EVP_CipherUpdate(context, output(), &written, input(), static_cast<int>(text)) == 1 &&
      EVP_CipherFinal_ex(context, output() + text, &written) == 1);
}

}  // namespace causeway
