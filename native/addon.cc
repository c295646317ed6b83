// The addon's face to JavaScript: arguments are checked here, work is done in the files beside it.
// The functions and their types are described in src/native/addon.ts.

#include <fcntl.h>
#include <malloc.h>
#include <node_api.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "aead.h"
#include "coalesce.h"
#include "netlink.h"
#include "tun.h"
#include "udp.h"

namespace causeway {
namespace {

// ---- values ------------------------------------------------------------------------------------

struct Failure {};  // a JavaScript exception is pending

void require(napi_env env, bool condition, const char* what) {
  if (condition) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, "ERR_ADDON_ARGUMENT", what);
  throw Failure{};
}

// Whether it is a whole number in a range. Not napi_get_value_int32, which makes 0 of NaN and wraps
// large numbers round: descriptor 0 or the handle of something else.
bool whole(napi_env env, napi_value value, double low, double high, double* found) {
  return napi_get_value_double(env, value, found) == napi_ok && *found >= low && *found <= high &&
         *found == std::trunc(*found);
}

template <size_t N>
struct Arguments {
  napi_env env;
  napi_value values[N] = {};
  size_t count = N;

  // What is missing behind the first `required` is undefined.
  Arguments(napi_env e, napi_callback_info info, size_t required = N) : env(e) {
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    require(env, count >= required, "too few arguments");
  }
  int32_t integer(size_t i) const {
    double value = 0;
    require(env, whole(env, values[i], INT32_MIN, INT32_MAX, &value), "expected a 32-bit number");
    return static_cast<int32_t>(value);
  }
  uint32_t natural(size_t i) const {
    double value = 0;
    require(env, whole(env, values[i], 0, UINT32_MAX, &value),
            "expected a 32-bit number, not negative");
    return static_cast<uint32_t>(value);
  }
  bool boolean(size_t i) const {
    bool value = false;
    require(env, napi_get_value_bool(env, values[i], &value) == napi_ok, "expected a boolean");
    return value;
  }
  std::string text(size_t i) const {
    char buffer[256];
    size_t size = 0;
    require(env,
            napi_get_value_string_utf8(env, values[i], buffer, sizeof buffer, &size) == napi_ok,
            "expected a string");
    require(env, std::memchr(buffer, 0, size) == nullptr, "a string with a zero in it");
    return std::string(buffer, size);
  }
  struct Bytes {
    uint8_t* data;
    size_t size;
  };
  Bytes bytes(size_t i) const {
    bool typed = false;
    napi_is_typedarray(env, values[i], &typed);
    require(env, typed, "expected a typed array");
    napi_typedarray_type type;
    size_t length = 0, offset = 0;
    void* data = nullptr;
    napi_value buffer;
    require(env,
            napi_get_typedarray_info(env, values[i], &type, &length, &data, &buffer, &offset) ==
                    napi_ok &&
                (data != nullptr || length == 0),
            "expected a typed array");
    size_t width = 1;
    if (type == napi_int16_array || type == napi_uint16_array) width = 2;
    if (type == napi_int32_array || type == napi_uint32_array || type == napi_float32_array) width = 4;
    if (type == napi_float64_array || type == napi_bigint64_array || type == napi_biguint64_array) {
      width = 8;
    }
    return {static_cast<uint8_t*>(data), length * width};
  }
  Bytes bytes_of(size_t i, size_t size) const {
    const Bytes found = bytes(i);
    require(env, found.size == size, "a typed array of the wrong length");
    return found;
  }
  const uint8_t* key(size_t i) const { return bytes_of(i, 32).data; }
};

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

// ---- native objects in JavaScript's hands --------------------------------------------------------

// Something that JavaScript names by a number. Numbers are looked up with bounds and kind checked:
// that costs a few nanoseconds, an external with a type tag over a hundred, at every call.
struct Object {
  enum class Kind : uint8_t { kOutbound, kInbound, kEndpoints, kKeys };
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

constexpr size_t kResults = 8;

// One per environment (main thread or worker); ends with it.
struct Instance {
  std::vector<std::unique_ptr<Object>> objects;
  int32_t* results = nullptr;  // kResults numbers that per-visit functions answer in
  napi_ref results_reference = nullptr;
};

Instance& instance_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance*>(data);
}

napi_value give(napi_env env, std::unique_ptr<Object> object) {
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

// release(handle): frees the object; its number may be given again.
napi_value release(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  auto& objects = instance_of(env).objects;
  const uint32_t at = a.natural(0);
  require(env, at < objects.size() && objects[at], "wrong handle");
  for (napi_ref reference : objects[at]->references) napi_delete_reference(env, reference);
  objects[at].reset();
  return undefined(env);
}

// bindResults(results: Int32Array(8))
napi_value bind_results(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const auto results = a.bytes_of(0, kResults * sizeof(int32_t));
  Instance& instance = instance_of(env);
  if (instance.results_reference != nullptr) napi_delete_reference(env, instance.results_reference);
  napi_create_reference(env, a.values[0], 1, &instance.results_reference);
  instance.results = reinterpret_cast<int32_t*>(results.data);
  return undefined(env);
}

template <size_t N>
void answer(napi_env env, const int32_t (&values)[N]) {
  static_assert(N <= kResults);
  int32_t* results = instance_of(env).results;
  require(env, results != nullptr, "bindResults comes first");
  std::memcpy(results, values, sizeof values);
}

// ---- vectors -----------------------------------------------------------------------------------

// bindOutbound(arena, columns: Uint8Array, capacity)
napi_value bind_outbound(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  const auto arena = a.bytes(0);
  const uint32_t capacity = a.natural(2);
  const auto columns = a.bytes_of(1, OutboundVector::columns_size(capacity));
  require(env, arena.size <= INT32_MAX && capacity > 0, "the arena is too large or has no columns");
  require(env, reinterpret_cast<uintptr_t>(columns.data) % 8 == 0, "the columns are not aligned");
  auto bound = std::make_unique<BoundOutbound>();
  bound->vector.bind(arena.data, arena.size, columns.data, capacity);
  bound->keep(env, a.values[0]);
  bound->keep(env, a.values[1]);
  return give(env, std::move(bound));
}

// bindInbound(arena, columns, sources: Uint8Array, groups: Uint8Array, runs, messages)
napi_value bind_inbound(napi_env env, napi_callback_info info) {
  Arguments<6> a(env, info);
  const auto arena = a.bytes(0);
  const uint32_t runs = a.natural(4), messages = a.natural(5);
  const auto columns = a.bytes_of(1, InboundVector::columns_size(runs, messages));
  const auto sources = a.bytes(2);
  const auto groups = a.bytes_of(3, GroupColumns::columns_size(messages));
  require(env, arena.size <= INT32_MAX && runs > 0 && messages > 0 &&
                   sources.size % sizeof(Endpoint) == 0 && sources.size > 0,
          "the arena is too large or has no columns");
  require(env, reinterpret_cast<uintptr_t>(columns.data) % 8 == 0 &&
                   reinterpret_cast<uintptr_t>(sources.data) % 4 == 0 &&
                   reinterpret_cast<uintptr_t>(groups.data) % 4 == 0,
          "the columns are not aligned");
  auto bound = std::make_unique<BoundInbound>();
  bound->vector.bind(arena.data, arena.size, columns.data, runs, messages);
  bound->vector.sources.records = reinterpret_cast<Endpoint*>(sources.data);
  bound->vector.sources.capacity = static_cast<uint32_t>(sources.size / sizeof(Endpoint));
  bound->receiver = std::make_unique<UdpReceiver>(bound->vector);
  bound->coalescer = std::make_unique<Coalescer>(messages, messages);
  bound->groups.bind(groups.data, messages);
  for (size_t i = 0; i < 4; i++) bound->keep(env, a.values[i]);
  return give(env, std::move(bound));
}

// bindEndpoints(records: Uint8Array)
napi_value bind_endpoints(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const auto records = a.bytes(0);
  require(env, records.size > 0 && records.size % sizeof(Endpoint) == 0, "not a table of endpoints");
  require(env, reinterpret_cast<uintptr_t>(records.data) % 4 == 0, "the records are not aligned");
  auto bound = std::make_unique<BoundEndpoints>();
  bound->table.records = reinterpret_cast<Endpoint*>(records.data);
  bound->table.capacity = static_cast<uint32_t>(records.size / sizeof(Endpoint));
  bound->sender = std::make_unique<UdpSender>(bound->table.capacity);
  bound->keep(env, a.values[0]);
  return give(env, std::move(bound));
}

// ---- TUN ---------------------------------------------------------------------------------------

// openTun(name, exclusive, multiQueue, offload, mtu) → {fd, error, name, tcpOffload, udpOffload}
napi_value open_tun_device(napi_env env, napi_callback_info info) {
  Arguments<5> a(env, info);
  const TunDevice device =
      open_tun(a.text(0).c_str(), a.boolean(1), a.boolean(2), a.boolean(3), a.integer(4));
  napi_value result, name;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, device.name.c_str(), device.name.size(), &name);
  set(env, result, "fd", number(env, device.fd));
  set(env, result, "error", number(env, device.error));
  set(env, result, "name", name);
  set(env, result, "tcpOffload", boolean(env, device.tcp_offload));
  set(env, result, "udpOffload", boolean(env, device.udp_offload));
  return result;
}

// tunName(fd) → string, empty if the device is gone
napi_value get_tun_name(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const std::string name = tun_name(a.integer(0));
  napi_value result = nullptr;
  napi_create_string_utf8(env, name.c_str(), name.size(), &result);
  return result;
}

// tunRead(fd, outbound, length, used, mtu, maxBytes)
//   results: error, length, used, malformed, options, unknownOffload
napi_value tun_read(napi_env env, napi_callback_info info) {
  Arguments<6> a(env, info);
  BoundOutbound* bound = take<BoundOutbound>(env, a.values[1]);
  const TunReadCounts counts = bound->reader.read(a.integer(0), bound->vector, a.natural(2),
                                                  a.natural(3), a.natural(4), a.natural(5));
  const int32_t values[6] = {counts.error,
                             static_cast<int32_t>(counts.length),
                             static_cast<int32_t>(counts.used),
                             static_cast<int32_t>(counts.malformed),
                             static_cast<int32_t>(counts.options),
                             static_cast<int32_t>(counts.unknown_offload)};
  answer(env, values);
  return undefined(env);
}

// coalesce(inbound, length, tcp, udp); results: groups, malformed, options
napi_value coalesce(napi_env env, napi_callback_info info) {
  Arguments<4> a(env, info);
  BoundInbound* bound = take<BoundInbound>(env, a.values[0]);
  const CoalesceCounts counts = bound->coalescer->gather(bound->vector, a.natural(1), a.boolean(2),
                                                         a.boolean(3), bound->groups);
  const int32_t values[3] = {static_cast<int32_t>(counts.groups),
                             static_cast<int32_t>(counts.malformed),
                             static_cast<int32_t>(counts.options)};
  answer(env, values);
  return undefined(env);
}

// tunWrite(fd, inbound, groups) → packets that the device refused
napi_value tun_write(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundInbound* bound = take<BoundInbound>(env, a.values[1]);
  return number(env, bound->coalescer->write(a.integer(0), bound->groups, a.natural(2)));
}

// ---- UDP ---------------------------------------------------------------------------------------

// openUdp(family, port, mark, bufferBytes, offload) → {fd, error, port, gso, gro}
napi_value open_udp_socket(napi_env env, napi_callback_info info) {
  Arguments<5> a(env, info);
  const uint32_t port = a.natural(1);
  const int32_t family = a.integer(0);
  require(env, port <= 65535 && (family == 4 || family == 6), "no such port or family");
  const UdpSocket socket = open_udp(family, static_cast<uint16_t>(port), a.natural(2), a.integer(3),
                                    a.boolean(4));
  napi_value result;
  napi_create_object(env, &result);
  set(env, result, "fd", number(env, socket.fd));
  set(env, result, "error", number(env, socket.error));
  set(env, result, "port", number(env, socket.port));
  set(env, result, "gso", boolean(env, socket.gso));
  set(env, result, "gro", boolean(env, socket.gro));
  return result;
}

// setMark(fd, mark) → errno
napi_value set_socket_mark(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  return number(env, set_mark(a.integer(0), a.natural(1)));
}

// socketDrops(fd) → datagrams
napi_value get_socket_drops(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  return number(env, socket_drops(a.integer(0)));
}

// udpReceive(fd, inbound, maxBuffers); results: error, runs, messages, dropped
napi_value udp_receive(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundInbound* bound = take<BoundInbound>(env, a.values[1]);
  const ReceiveCounts counts =
      bound->receiver->receive(a.integer(0), bound->vector, a.natural(2));
  const int32_t values[4] = {counts.error, static_cast<int32_t>(counts.length),
                             static_cast<int32_t>(counts.messages),
                             static_cast<int32_t>(counts.dropped)};
  answer(env, values);
  return undefined(env);
}

// udpSend(fd4, fd6, gso4, gso6, outbound, length, endpoints, resume)
//   results: family of the socket that blocks or 0, errors, tooLong, unreachable
napi_value udp_send(napi_env env, napi_callback_info info) {
  Arguments<8> a(env, info);
  BoundOutbound* outbound = take<BoundOutbound>(env, a.values[4]);
  BoundEndpoints* endpoints = take<BoundEndpoints>(env, a.values[6]);
  if (!a.boolean(7)) endpoints->sender->restart();
  const SendCounts counts =
      endpoints->sender->send(a.integer(0), a.integer(1), a.boolean(2), a.boolean(3),
                              outbound->vector, a.natural(5), endpoints->table);
  const int32_t values[4] = {counts.blocked, static_cast<int32_t>(counts.errors),
                             static_cast<int32_t>(counts.too_long),
                             static_cast<int32_t>(counts.unreachable)};
  answer(env, values);
  return undefined(env);
}

// forgetPaths(endpoints)
napi_value forget_paths(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  take<BoundEndpoints>(env, a.values[0])->sender->forget_paths();
  return undefined(env);
}

// ---- cryptography ------------------------------------------------------------------------------

// createKeys(capacity, evp = false)
napi_value create_keys(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info, 1);
  const uint32_t capacity = a.natural(0);
  require(env, capacity > 0 && capacity <= 1u << 20, "between 1 and 1,048,576 slots");
  return give(env, std::make_unique<BoundKeys>(capacity, a.count > 1 && a.boolean(1)));
}

// setKeys(keys, slot, sealing, opening) → boolean
napi_value set_keys(napi_env env, napi_callback_info info) {
  Arguments<4> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  return boolean(env, keys->table.set(a.natural(1), a.key(2), a.key(3)));
}

napi_value clear_keys(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  take<BoundKeys>(env, a.values[0])->table.clear(a.natural(1));
  return undefined(env);
}

// sealVector(keys, outbound, length) → entries refused
napi_value seal_vector(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  BoundOutbound* outbound = take<BoundOutbound>(env, a.values[1]);
  return number(env, keys->table.seal(outbound->vector, a.natural(2)));
}

napi_value open_vector(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  BoundInbound* inbound = take<BoundInbound>(env, a.values[1]);
  keys->table.open(inbound->vector, a.natural(2));
  return undefined(env);
}

// x25519(out, scalar, point) → boolean
napi_value x25519_shared(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  return boolean(env, x25519(a.bytes_of(0, 32).data, a.key(1), a.key(2)));
}

// x25519Base(out, scalar) → boolean
napi_value x25519_public(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  return boolean(env, x25519_base(a.bytes_of(0, 32).data, a.key(1)));
}

// ---- descriptors and the event loop --------------------------------------------------------------

napi_value close_descriptor(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const int fd = a.integer(0);
  if (fd >= 0) close(fd);
  return undefined(env);
}

// trimMemory(): gives freed memory of every malloc arena back to the system
napi_value trim_memory(napi_env env, napi_callback_info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return undefined(env);
}

// openNetlink(groups, tun) → fd or -errno
napi_value open_netlink_socket(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  return number(env, open_netlink(a.natural(0), a.integer(1)));
}

// receive(fd, into) → bytes or -errno; send(fd, from) → bytes or -errno. For netlink and the like.
napi_value receive_bytes(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  const auto into = a.bytes(1);
  const ssize_t got = recv(a.integer(0), into.data, into.size, MSG_DONTWAIT);
  return number(env, got < 0 ? -static_cast<double>(errno) : static_cast<double>(got));
}

napi_value send_bytes(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  const auto from = a.bytes(1);
  const ssize_t sent = send(a.integer(0), from.data, from.size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return number(env, sent < 0 ? -static_cast<double>(errno) : static_cast<double>(sent));
}

// Readiness of a descriptor on the loop of the environment that made it. The descriptor stays the
// caller's; the poll watches a duplicate, because libuv ends the process when it comes upon a closed
// one. Freed in three steps, in whatever order they come: the libuv handle is closed, JavaScript's
// external is collected, the environment ends.
struct Poll {
  uv_poll_t handle;
  int fd = -1;
  napi_env env;
  napi_ref callback = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  bool closing = false;
  bool collected = false;
  bool closed = false;

  void release_if_done() {
    if (collected && closed) delete this;
  }
};

constexpr napi_type_tag kPollTag = {0x6361757365776179ull, 0x706f6c6cull};

Poll* take_poll(napi_env env, napi_value value) {
  bool right = false;
  void* data = nullptr;
  napi_valuetype type;
  require(env, napi_typeof(env, value, &type) == napi_ok && type == napi_external, "wrong handle");
  napi_check_object_type_tag(env, value, &kPollTag, &right);
  require(env, right && napi_get_value_external(env, value, &data) == napi_ok, "wrong handle");
  return static_cast<Poll*>(data);
}

void on_ready(uv_poll_t* handle, int status, int events) {
  Poll* poll = static_cast<Poll*>(handle->data);
  napi_env env = poll->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, result;
  napi_value arguments[1];
  napi_get_reference_value(env, poll->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, status < 0 ? status : events, &arguments[0]);
  if (napi_make_callback(env, poll->context, receiver, callback, 1, arguments, &result) ==
      napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

void close_poll(Poll* poll) {
  if (poll->closing) return;
  poll->closing = true;
  uv_poll_stop(&poll->handle);
  if (poll->callback != nullptr) napi_delete_reference(poll->env, poll->callback);
  if (poll->context != nullptr) napi_async_destroy(poll->env, poll->context);
  poll->callback = nullptr;
  poll->context = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), [](uv_handle_t* handle) {
    Poll* closed = static_cast<Poll*>(handle->data);
    closed->closed = true;
    if (closed->cleanup != nullptr) napi_remove_async_cleanup_hook(closed->cleanup);
    closed->cleanup = nullptr;
    closed->release_if_done();
  });
  // libuv has let go of it, and a socket's port should be free again at once.
  close(poll->fd);
}

// createPoll(fd, callback) → handle; the callback gets a mask of 1 readable | 2 writable, or -errno
napi_value create_poll(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  napi_valuetype type;
  require(env, napi_typeof(env, a.values[1], &type) == napi_ok && type == napi_function,
          "expected a function");
  uv_loop_t* loop = nullptr;
  require(env, napi_get_uv_event_loop(env, &loop) == napi_ok, "no event loop");
  auto poll = std::make_unique<Poll>();
  poll->env = env;
  poll->fd = fcntl(a.integer(0), F_DUPFD_CLOEXEC, 0);
  require(env, poll->fd >= 0, "the descriptor cannot be polled");
  if (uv_poll_init(loop, &poll->handle, poll->fd) != 0) {
    close(poll->fd);
    require(env, false, "the descriptor cannot be polled");
  }
  Poll* raw = poll.release();  // from here on freed by close_poll and the finalizer
  raw->handle.data = raw;
  napi_value name, external;
  napi_create_string_utf8(env, "causeway:poll", NAPI_AUTO_LENGTH, &name);
  napi_create_reference(env, a.values[1], 1, &raw->callback);
  napi_async_init(env, nullptr, name, &raw->context);
  napi_add_async_cleanup_hook(
      env, [](napi_async_cleanup_hook_handle, void* data) { close_poll(static_cast<Poll*>(data)); },
      raw, &raw->cleanup);
  const napi_status made = napi_create_external(
      env, raw,
      [](napi_env, void* data, void*) {
        Poll* poll = static_cast<Poll*>(data);
        poll->collected = true;
        close_poll(poll);
        poll->release_if_done();
      },
      nullptr, &external);
  if (made != napi_ok) {
    raw->collected = true;
    close_poll(raw);
    require(env, false, "no memory");
  }
  napi_type_tag_object(env, external, &kPollTag);
  return external;
}

// setPoll(handle, events)
napi_value set_poll(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  Poll* poll = take_poll(env, a.values[0]);
  const int32_t events = a.integer(1);
  if (poll->closing) return undefined(env);
  if (events == 0) {
    uv_poll_stop(&poll->handle);
  } else {
    uv_poll_start(&poll->handle, events & (UV_READABLE | UV_WRITABLE), on_ready);
  }
  return undefined(env);
}

napi_value stop_poll(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  close_poll(take_poll(env, a.values[0]));
  return undefined(env);
}

// ---- registration --------------------------------------------------------------------------------

template <napi_value (*function)(napi_env, napi_callback_info)>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return function(env, info);
  } catch (const Failure&) {
    return nullptr;
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ERR_ADDON_MEMORY", "no memory");
    return nullptr;
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_ADDON_FAILURE", error.what());
    return nullptr;
  }
}

template <napi_value (*function)(napi_env, napi_callback_info)>
void add(napi_env env, napi_value exports, const char* name) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<function>, nullptr, &value);
  set(env, exports, name, value);
}

}  // namespace
}  // namespace causeway

NAPI_MODULE_INIT() {
  using namespace causeway;
  // References need no deleting here: the environment takes them with it.
  napi_set_instance_data(
      env, new Instance, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); },
      nullptr);
  add<bind_results>(env, exports, "bindResults");
  add<release>(env, exports, "release");
  add<bind_outbound>(env, exports, "bindOutbound");
  add<bind_inbound>(env, exports, "bindInbound");
  add<bind_endpoints>(env, exports, "bindEndpoints");
  add<open_tun_device>(env, exports, "openTun");
  add<get_tun_name>(env, exports, "tunName");
  add<tun_read>(env, exports, "tunRead");
  add<coalesce>(env, exports, "coalesce");
  add<tun_write>(env, exports, "tunWrite");
  add<open_udp_socket>(env, exports, "openUdp");
  add<set_socket_mark>(env, exports, "setMark");
  add<get_socket_drops>(env, exports, "socketDrops");
  add<udp_receive>(env, exports, "udpReceive");
  add<udp_send>(env, exports, "udpSend");
  add<forget_paths>(env, exports, "forgetPaths");
  add<create_keys>(env, exports, "createKeys");
  add<set_keys>(env, exports, "setKeys");
  add<clear_keys>(env, exports, "clearKeys");
  add<seal_vector>(env, exports, "sealVector");
  add<open_vector>(env, exports, "openVector");
  add<x25519_shared>(env, exports, "x25519");
  add<x25519_public>(env, exports, "x25519Base");
  add<close_descriptor>(env, exports, "close");
  add<trim_memory>(env, exports, "trimMemory");
  add<open_netlink_socket>(env, exports, "openNetlink");
  add<receive_bytes>(env, exports, "receive");
  add<send_bytes>(env, exports, "send");
  add<create_poll>(env, exports, "createPoll");
  add<set_poll>(env, exports, "setPoll");
  add<stop_poll>(env, exports, "closePoll");
  return exports;
}
