// The layout of OutboundVector and InboundVector in src/vector.ts, as the addon sees it.
//
// All memory belongs to JavaScript; a bound vector keeps a reference to it for as long as it lives.
// Nothing in the columns is trusted: every run is checked against the arena before it is touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace causeway {

constexpr size_t kHeaderSize = 16;
constexpr size_t kTagSize = 16;
constexpr size_t kOverhead = kHeaderSize + kTagSize;
constexpr size_t kMaxDatagram = 65507;

// One endpoint record of src/vector.ts (EndpointTable).
struct Endpoint {
  uint16_t family;  // 4, 6 or 0
  uint16_t port;    // host order
  uint8_t remote[16];
  uint32_t scope;
  uint8_t local[16];
  uint32_t local_interface;
  uint32_t relay;
};
static_assert(sizeof(Endpoint) == 48, "endpoint record layout");

struct EndpointTable {
  Endpoint* records = nullptr;
  uint32_t capacity = 0;
};

// A run of messages: see src/vector.ts.
struct Run {
  uint8_t* first;
  size_t stride;
  size_t count;
  size_t last_size;

  size_t bytes() const { return (count - 1) * stride + last_size; }
  size_t size_of(size_t k) const { return k + 1 == count ? last_size : stride; }
};

struct Columns {
  uint8_t* arena = nullptr;
  size_t arena_size = 0;
  uint32_t capacity = 0;
  int32_t* offset = nullptr;
  int32_t* stride = nullptr;
  int32_t* count = nullptr;
  int32_t* last_size = nullptr;
  uint32_t* head = nullptr;
  uint32_t* receiver = nullptr;
  int32_t* slot = nullptr;

  // Whether entry i lies inside the arena and its numbers make sense; fills `run` if so.
  bool run_at(uint32_t i, Run* run) const {
    if (i >= capacity) return false;
    const int64_t o = offset[i], s = stride[i], c = count[i], l = last_size[i];
    if (o < 0 || s < 0 || l < 0 || c < 1 || l > s || s > int64_t{65535} || c > int64_t{65536}) {
      return false;
    }
    if (o + (c - 1) * s + l > static_cast<int64_t>(arena_size)) return false;
    run->first = arena + o;
    run->stride = static_cast<size_t>(s);
    run->count = static_cast<size_t>(c);
    run->last_size = static_cast<size_t>(l);
    return true;
  }
};

struct OutboundVector : Columns {
  int32_t* endpoint = nullptr;
  double* counter = nullptr;

  static constexpr size_t columns_size(size_t capacity) { return capacity * (8 * 4 + 8); }

  void bind(uint8_t* arena_data, size_t size, uint8_t* columns, uint32_t entries) {
    arena = arena_data;
    arena_size = size;
    capacity = entries;
    const size_t column = size_t{entries} * 4;
    offset = reinterpret_cast<int32_t*>(columns);
    stride = reinterpret_cast<int32_t*>(columns + column);
    count = reinterpret_cast<int32_t*>(columns + column * 2);
    last_size = reinterpret_cast<int32_t*>(columns + column * 3);
    head = reinterpret_cast<uint32_t*>(columns + column * 4);
    receiver = reinterpret_cast<uint32_t*>(columns + column * 5);
    slot = reinterpret_cast<int32_t*>(columns + column * 6);
    endpoint = reinterpret_cast<int32_t*>(columns + column * 7);
    counter = reinterpret_cast<double*>(columns + column * 8);
  }
};

struct InboundVector : Columns {
  uint32_t message_capacity = 0;
  int32_t* source = nullptr;
  int32_t* first = nullptr;
  int32_t* plain = nullptr;
  double* counter = nullptr;
  EndpointTable sources;

  static constexpr size_t columns_size(size_t runs, size_t messages) {
    return messages * 12 + runs * 4 * 9;
  }

  void bind(uint8_t* arena_data, size_t size, uint8_t* columns, uint32_t runs, uint32_t messages) {
    arena = arena_data;
    arena_size = size;
    capacity = runs;
    message_capacity = messages;
    counter = reinterpret_cast<double*>(columns);
    plain = reinterpret_cast<int32_t*>(columns + size_t{messages} * 8);
    uint8_t* base = columns + size_t{messages} * 12;
    const size_t column = size_t{runs} * 4;
    offset = reinterpret_cast<int32_t*>(base);
    stride = reinterpret_cast<int32_t*>(base + column);
    count = reinterpret_cast<int32_t*>(base + column * 2);
    last_size = reinterpret_cast<int32_t*>(base + column * 3);
    head = reinterpret_cast<uint32_t*>(base + column * 4);
    receiver = reinterpret_cast<uint32_t*>(base + column * 5);
    slot = reinterpret_cast<int32_t*>(base + column * 6);
    source = reinterpret_cast<int32_t*>(base + column * 7);
    first = reinterpret_cast<int32_t*>(base + column * 8);
  }

  // The run and its place in the per-message columns, both checked.
  bool messages_at(uint32_t i, Run* run, uint32_t* first_message) const {
    if (!run_at(i, run)) return false;
    const int64_t f = first[i];
    if (f < 0 || f + static_cast<int64_t>(run->count) > int64_t{message_capacity}) return false;
    *first_message = static_cast<uint32_t>(f);
    return true;
  }
};

}  // namespace causeway
