// The native objects in JavaScript's hands, and what belongs to one environment.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "aead.h"
#include "coalesce.h"
#include "napi-values.h"
#include "noise.h"
#include "tun.h"
#include "udp.h"

namespace causeway {

// Something that JavaScript names by a number. Numbers are looked up with bounds and kind checked:
// that costs a few nanoseconds, an external with a type tag over a hundred, at every call.
struct Object {
  enum class Kind : uint8_t { kOutbound, kInbound, kEndpoints, kKeys, kNoise };
  const Kind kind;

  explicit Object(Kind k) : kind(k) {}
  virtual ~Object() = default;

  // Keeps a JavaScript value alive for as long as this points into it.
  void keep(napi_env env, napi_value value) {
    napi_ref reference = nullptr;
    require(env, napi_create_reference(env, value, 1, &reference) == napi_ok, "no memory");
    references.push_back(reference);
  }
  std::vector<napi_ref> references;
};

struct BoundOutbound final : Object {
  static constexpr Kind kKind = Kind::kOutbound;
  BoundOutbound() : Object(kKind) {}
  OutboundVector vector;
  TunReader reader;
};
struct BoundInbound final : Object {
  static constexpr Kind kKind = Kind::kInbound;
  BoundInbound() : Object(kKind) {}
  InboundVector vector;
  std::unique_ptr<UdpReceiver> receiver;
  std::unique_ptr<Coalescer> coalescer;
  GroupColumns groups;
};
struct BoundEndpoints final : Object {
  static constexpr Kind kKind = Kind::kEndpoints;
  BoundEndpoints() : Object(kKind) {}
  EndpointTable table;
  std::unique_ptr<UdpSender> sender;
};
struct BoundKeys final : Object {
  static constexpr Kind kKind = Kind::kKeys;
  BoundKeys(uint32_t capacity, bool evp) : Object(kKind), table(capacity, evp) {}
  KeyTable table;
};
struct BoundNoise final : Object {
  static constexpr Kind kKind = Kind::kNoise;
  BoundNoise() : Object(kKind) {}
  std::unique_ptr<Noise> functions;
};

constexpr size_t kResults = 8;

// One per environment (main thread or worker); ends with it.
struct Instance {
  std::vector<std::unique_ptr<Object>> objects;
  int32_t* results = nullptr;  // kResults numbers that per-visit functions answer in
  napi_ref results_reference = nullptr;
};

inline Instance& instance_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance*>(data);
}

inline napi_value give(napi_env env, std::unique_ptr<Object> object) {
  auto& objects = instance_of(env).objects;
  for (size_t i = 0; i < objects.size(); i++) {
    if (!objects[i]) {
      objects[i] = std::move(object);
      return number(env, static_cast<double>(i));
    }
  }
  objects.push_back(std::move(object));
  return number(env, static_cast<double>(objects.size() - 1));
}

template <typename T>
T* take(napi_env env, napi_value value) {
  auto& objects = instance_of(env).objects;
  double handle = 0;
  require(env, whole(env, value, 0, static_cast<double>(objects.size()) - 1, &handle), "wrong handle");
  const size_t at = static_cast<size_t>(handle);
  require(env, objects[at] && objects[at]->kind == T::kKind, "wrong handle");
  return static_cast<T*>(objects[at].get());
}

template <size_t N>
void answer(napi_env env, const int32_t (&values)[N]) {
  static_assert(N <= kResults);
  int32_t* results = instance_of(env).results;
  require(env, results != nullptr, "bindResults comes first");
  std::memcpy(results, values, sizeof values);
}

}  // namespace causeway
