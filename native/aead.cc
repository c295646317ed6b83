#include "aead.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <limits>

#include "chacha20-poly1305.h"

namespace causeway {

namespace {

constexpr int32_t kOpenFailed = -1;
constexpr double kMaxCounter = 9007199254740992.0;  // 2^53

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;

struct KeyContextFree {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, KeyContextFree>;

inline void store_le32(uint8_t* to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

inline void store_le64(uint8_t* to, uint64_t value) {
  for (int i = 0; i < 8; i++) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

inline uint64_t load_le64(const uint8_t* from) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | from[i];
  return value;
}

}  // namespace

struct KeyTable::Slot {
  std::unique_ptr<Cipher> sealing;
  std::unique_ptr<Cipher> opening;
};

KeyTable::KeyTable(uint32_t capacity, bool evp) : capacity_(capacity), evp_(evp) {}
KeyTable::~KeyTable() = default;

bool KeyTable::set(uint32_t slot, const uint8_t* sealing, const uint8_t* opening) {
  if (slot >= capacity_) return false;
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  auto made = std::make_unique<Slot>();
  made->sealing = make_cipher(sealing, true, evp_);
  made->opening = make_cipher(opening, false, evp_);
  if (!made->sealing || !made->opening) return false;
  slots_[slot] = std::move(made);
  return true;
}

void KeyTable::clear(uint32_t slot) {
  if (slot < slots_.size()) slots_[slot].reset();
}

uint32_t KeyTable::seal(OutboundVector& vector, uint32_t length) {
  uint32_t refused = 0;
  for (uint32_t i = 0; i < length && i < vector.capacity; i++) {
    const int32_t slot = vector.slot[i];
    if (slot < 0) continue;
    Run run;
    const double first = vector.counter[i];
    if (static_cast<size_t>(slot) >= slots_.size() || !slots_[slot] || !vector.run_at(i, &run) ||
        run.last_size < kOverhead || !(first >= 0) || !(first + run.count < kMaxCounter)) {
      vector.slot[i] = -1;
      refused++;
      continue;
    }
    Cipher& cipher = *slots_[slot]->sealing;
    uint64_t counter = static_cast<uint64_t>(first);
    bool ok = true;
    for (size_t k = 0; k < run.count && ok; k++, counter++) {
      uint8_t* message = run.first + k * run.stride;
      uint8_t* body = message + kHeaderSize;
      ok = cipher.seal(body, run.size_of(k) - kOverhead, counter, body - vector.arena >= 64);
      store_le32(message, vector.head[i]);
      store_le32(message + 4, vector.receiver[i]);
      store_le64(message + 8, counter);
    }
    if (!ok) {
      vector.slot[i] = -1;
      refused++;
    }
  }
  return refused;
}

void KeyTable::open(InboundVector& vector, uint32_t length) {
  for (uint32_t i = 0; i < length && i < vector.capacity; i++) {
    const int32_t slot = vector.slot[i];
    if (slot < 0) continue;
    Run run;
    uint32_t first = 0;
    if (!vector.messages_at(i, &run, &first)) {
      vector.slot[i] = -1;
      continue;
    }
    const bool usable = static_cast<size_t>(slot) < slots_.size() && slots_[slot];
    Cipher* const cipher = usable ? slots_[slot]->opening.get() : nullptr;
    for (size_t k = 0; k < run.count; k++) {
      uint8_t* message = run.first + k * run.stride;
      const size_t bytes = run.size_of(k);
      int32_t& plain = vector.plain[first + k];
      plain = kOpenFailed;
      if (cipher == nullptr || bytes < kOverhead) continue;
      const uint64_t counter = load_le64(message + 8);
      vector.counter[first + k] = counter < (uint64_t{1} << 53)
                                      ? static_cast<double>(counter)
                                      : std::numeric_limits<double>::infinity();
      const size_t size = bytes - kOverhead;
      if (cipher->open(message + kHeaderSize, size, counter)) plain = static_cast<int32_t>(size);
    }
  }
}

namespace {

// A private key object without the scalar multiplication that deriving its public half would cost:
// a public half is handed in, and X25519 never reads it.
Key private_key(const uint8_t scalar[32]) {
  static const uint8_t unused_public[kKeySize] = {9};
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr));
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<uint8_t*>(unused_public), kKeySize),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, const_cast<uint8_t*>(scalar),
                                        kKeySize),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params) != 1) return nullptr;
  return Key(key);
}

}  // namespace

bool x25519(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]) {
  const Key ours = private_key(scalar);
  const Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, point, kKeySize));
  if (!ours || !theirs) return false;
  const KeyContext context(EVP_PKEY_CTX_new(ours.get(), nullptr));
  size_t size = kKeySize;
  // Fails on an all-zero result (RFC 7748 § 6.1).
  return context && EVP_PKEY_derive_init(context.get()) == 1 &&
         EVP_PKEY_derive_set_peer(context.get(), theirs.get()) == 1 &&
         EVP_PKEY_derive(context.get(), out, &size) == 1 && size == kKeySize;
}

bool x25519_base(uint8_t out[32], const uint8_t scalar[32]) {
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar, kKeySize));
  size_t size = kKeySize;
  return key && EVP_PKEY_get_raw_public_key(key.get(), out, &size) == 1 && size == kKeySize;
}

}  // namespace causeway
