// The addon's face to JavaScript: arguments are checked here, work is done in the files beside it.
// The functions and their types are described in src/native/addon.ts.

#include <malloc.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "addon-cryptography.h"
#include "netlink.h"
#include "objects.h"
#include "poll.h"
#include "unix-datagram.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace causeway {
namespace {

// ---- objects -----------------------------------------------------------------------------------

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

// coalesce(inbound, length, tcp, udp); results: groups, malformed, options,
// path frames
napi_value coalesce(napi_env env, napi_callback_info info) {
  Arguments<4> a(env, info);
  BoundInbound* bound = take<BoundInbound>(env, a.values[0]);
  const CoalesceCounts counts = bound->coalescer->gather(bound->vector, a.natural(1), a.boolean(2),
                                                         a.boolean(3), bound->groups);
  const int32_t values[4] = {
      static_cast<int32_t>(counts.groups), static_cast<int32_t>(counts.malformed),
      static_cast<int32_t>(counts.options), static_cast<int32_t>(counts.path_frames)};
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

// openUdp(family, port, mark, bufferBytes, offload) → {fd, error, port, gso, gro, receiveBuffer}
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
  set(env, result, "receiveBuffer", number(env, socket.receive_buffer));
  return result;
}

// setMark(fd, mark) → errno
napi_value set_socket_mark(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  return number(env, set_mark(a.integer(0), a.natural(1)));
}

// setDontFragment(fd, on) → errno
napi_value set_socket_dont_fragment(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  return number(env, set_dont_fragment(a.integer(0), a.boolean(1)));
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

// ---- descriptors -------------------------------------------------------------------------------

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

// glibc raises the size from which memory is mapped by itself, and unmapped when it is freed, to that of
// the largest block that was freed so far: tables of half a megabyte then lie in between of small blocks.
// A size that was set stays; this is the one that it begins with.
void keep_large_blocks_apart() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

// random(into): the kernel's random bytes. Node's own take 70 us for any number of them.
napi_value fill_random(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const auto into = a.bytes(0);
  for (size_t done = 0; done < into.size;) {
    const ssize_t got = getrandom(into.data + done, into.size - done, 0);
    if (got < 0 && errno != EINTR) throw std::runtime_error("the kernel gives no random bytes");
    if (got > 0) done += static_cast<size_t>(got);
  }
  return undefined(env);
}

// networkNamespace() → BigInt: the kernel's cookie of this thread's network namespace, which no other
// gets until the next boot; 0 where the kernel gives none (before Linux 5.14)
napi_value network_namespace(napi_env env, napi_callback_info) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::runtime_error("no socket to be had");
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) cookie = 0;
  close(fd);
  napi_value value;
  napi_create_bigint_uint64(env, cookie, &value);
  return value;
}

// openNetlink(groups, tun, protocol, buffer) → fd or -errno
napi_value open_netlink_socket(napi_env env, napi_callback_info info) {
  Arguments<4> a(env, info);
  return number(env, open_netlink(a.natural(0), a.integer(1), a.integer(2), a.integer(3)));
}

// filterNetlink(fd, port, protocol) → 0 or -errno
napi_value filter_netlink_socket(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  return number(env, filter_netlink(a.integer(0), a.natural(1), static_cast<uint8_t>(a.natural(2))));
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

// sendUnixDatagram(address, message) → 0 or -errno
napi_value send_datagram(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  const auto address = a.bytes(0), message = a.bytes(1);
  return number(env, send_unix_datagram(address.data, address.size, message.data, message.size));
}

}  // namespace
}  // namespace causeway

NAPI_MODULE_INIT() {
  // INTERFACE_VERSION of src/native/addon.ts: another number for another shape of any function.
  constexpr int32_t kInterfaceVersion = 1;
  using namespace causeway;
  keep_large_blocks_apart();
  // References need no deleting here: the environment takes them with it.
  napi_set_instance_data(
      env, new Instance, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); },
      nullptr);
  set(env, exports, "interfaceVersion", number(env, kInterfaceVersion));
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
  add<set_socket_dont_fragment>(env, exports, "setDontFragment");
  add<get_socket_drops>(env, exports, "socketDrops");
  add<udp_receive>(env, exports, "udpReceive");
  add<udp_send>(env, exports, "udpSend");
  add<forget_paths>(env, exports, "forgetPaths");
  add_cryptography(env, exports);
  add<close_descriptor>(env, exports, "close");
  add<trim_memory>(env, exports, "trimMemory");
  add<fill_random>(env, exports, "random");
  add<network_namespace>(env, exports, "networkNamespace");
  add<open_netlink_socket>(env, exports, "openNetlink");
  add<filter_netlink_socket>(env, exports, "filterNetlink");
  add<receive_bytes>(env, exports, "receive");
  add<send_bytes>(env, exports, "send");
  add<send_datagram>(env, exports, "sendUnixDatagram");
  add<create_poll>(env, exports, "createPoll");
  add<set_poll>(env, exports, "setPoll");
  add<stop_poll>(env, exports, "closePoll");
  return exports;
}
