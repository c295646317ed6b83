// ChaCha20-Poly1305 over vectors, by the OpenSSL that node itself carries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "vector.h"

namespace causeway {

// Sealing and opening contexts by slot number. Keys are wiped when a slot is cleared or replaced.
class KeyTable {
 public:
  // With `evp`, OpenSSL's public interface is used even where its primitives are there.
  KeyTable(uint32_t capacity, bool evp);
  ~KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  uint32_t capacity() const { return capacity_; }
  // Both keys are 32 bytes. False if the slot does not exist or OpenSSL refuses.
  bool set(uint32_t slot, const uint8_t* sealing, const uint8_t* opening);
  void clear(uint32_t slot);

  // Seals the entries below `length` whose slot is ≥ 0, in place. Returns how many it could not
  // (bad run, empty slot); their slot becomes -1 so that they are not sent in the clear.
  uint32_t seal(OutboundVector& vector, uint32_t length);
  // Opens the runs below `length` whose slot is ≥ 0, in place; fills `plain` and `counter`.
  void open(InboundVector& vector, uint32_t length);

 private:
  struct Slot;
  uint32_t capacity_;
  // Grows with the highest slot in use.
  std::vector<std::unique_ptr<Slot>> slots_;
  const bool evp_;
};

}  // namespace causeway
