// Vectors whose memory is the test's own, each column no longer than it must be: whatever touches a
// byte too many is seen by AddressSanitizer.
#pragma once

#include "../coalesce.h"
#include "../vector.h"
#include "check.h"

namespace causeway::test {

struct OwnedOutbound : OutboundVector {
  OwnedOutbound(uint32_t entries, size_t size)
      : bytes(size), memory(OutboundVector::columns_size(entries) / 8) {
    bind(bytes.data(), size, reinterpret_cast<uint8_t*>(memory.data()), entries);
  }
  Bytes bytes;
  std::vector<uint64_t> memory;

  // Adds a run at byte `at` of the arena.
  void add(uint32_t entry, size_t at, size_t run_stride, size_t messages, size_t last, int32_t to) {
    offset[entry] = static_cast<int32_t>(at);
    stride[entry] = static_cast<int32_t>(run_stride);
    count[entry] = static_cast<int32_t>(messages);
    last_size[entry] = static_cast<int32_t>(last);
    slot[entry] = 0;
    endpoint[entry] = to;
  }
  // Every column full of numbers that no caller would write.
  void scramble(Random& random) {
    random.fill(reinterpret_cast<uint8_t*>(memory.data()), memory.size() * 8);
    for (uint32_t i = 0; i < capacity; i++) {
      if (random.coin()) offset[i] = static_cast<int32_t>(random.below(arena_size + 2));
      if (random.coin()) stride[i] = static_cast<int32_t>(random.below(2000));
      if (random.coin()) count[i] = static_cast<int32_t>(random.below(80));
      if (random.coin()) last_size[i] = static_cast<int32_t>(random.below(2000));
      if (random.coin()) slot[i] = random.one_in(4) ? -2 : 0;
      if (random.coin()) endpoint[i] = static_cast<int32_t>(random.below(6)) - 1;
    }
  }
};

struct OwnedInbound : InboundVector {
  OwnedInbound(uint32_t runs, uint32_t messages, size_t size, uint32_t buffers)
      : bytes(size),
        memory((InboundVector::columns_size(runs, messages) + 7) / 8),
        records(buffers) {
    bind(bytes.data(), size, reinterpret_cast<uint8_t*>(memory.data()), runs, messages);
    sources = {records.data(), buffers};
  }
  Bytes bytes;
  std::vector<uint64_t> memory;
  std::vector<Endpoint> records;

  void scramble(Random& random) {
    random.fill(reinterpret_cast<uint8_t*>(memory.data()), memory.size() * 8);
    for (uint32_t i = 0; i < capacity; i++) {
      if (!random.one_in(8)) offset[i] = static_cast<int32_t>(random.below(arena_size + 2));
      if (!random.one_in(8)) stride[i] = static_cast<int32_t>(random.below(300));
      if (!random.one_in(8)) count[i] = static_cast<int32_t>(random.below(20));
      if (!random.one_in(8)) last_size[i] = static_cast<int32_t>(random.below(300));
      if (!random.one_in(8)) slot[i] = static_cast<int32_t>(random.below(2));
      if (!random.one_in(8)) first[i] = static_cast<int32_t>(random.below(message_capacity + 1));
    }
    for (uint32_t i = 0; i < message_capacity; i++) {
      if (!random.one_in(8)) plain[i] = static_cast<int32_t>(random.below(300));
    }
  }
};

struct OwnedGroups : GroupColumns {
  explicit OwnedGroups(uint32_t groups) : memory(size_t{groups} * 3) {
    bind(reinterpret_cast<uint8_t*>(memory.data()), groups);
  }
  std::vector<int32_t> memory;
};

// Two ends of a local connection that keeps the borders of messages, as a TUN does.
struct SocketPair {
  SocketPair();
  ~SocketPair();
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  // The next message, empty if none waits.
  Bytes next();
  int near, far;
};

}  // namespace causeway::test
