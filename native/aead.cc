#include "aead.h"

#include <limits>

#include "chacha20-poly1305.h"

namespace causeway {

namespace {

constexpr int32_t kOpenFailed = -1;
constexpr double kMaxCounter = 9007199254740992.0;  // 2^53

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

}  // namespace causeway
