// Reading a TUN into a vector, from a local socket that keeps the borders of messages as a TUN does.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "../tun.h"
#include "packets.h"
#include "vectors.h"

using namespace causeway;
using namespace causeway::test;

namespace {

void send_to(const SocketPair& tun, const VirtioNetHeader& header, const Bytes& packet) {
  Bytes message(sizeof header);
  std::memcpy(message.data(), &header, sizeof header);
  append(message, packet);
  CHECK_EQUAL(write(tun.far, message.data(), message.size()), message.size());
}

Bytes datagram(Random& random, size_t payload) {
  Flow flow;
  flow.tcp = false;
  flow.source = flow.destination = flow.final_destination = {10, 0, 0, 1};
  Segment segment;
  segment.payload = random.bytes(payload);
  return make_packet(flow, segment);
}

Bytes packet_at(const OwnedOutbound& vector, uint32_t entry, size_t size) {
  const uint8_t* from = vector.arena + vector.offset[entry] + kHeaderSize;
  return Bytes(from, from + size);
}

}  // namespace

CAUSEWAY_TEST(tun_reads_every_packet_once_and_in_order, 100) {
  SocketPair tun;
  std::vector<Bytes> packets;
  for (size_t n = random.between(1, 20); n > 0; n--) packets.push_back(datagram(random, random.below(1400)));
  for (const Bytes& packet : packets) send_to(tun, {}, packet);

  TunReader reader;
  size_t next = 0;
  int visits = 0;
  for (bool drained = false; !drained; visits++) {
    OwnedOutbound vector(static_cast<uint32_t>(random.between(1, 8)), random.between(1600, 8000));
    // What the caller has put into the vector already stays there.
    const uint32_t length = static_cast<uint32_t>(random.below(vector.capacity));
    const uint32_t used = visits % 2 == 0 ? 0 : static_cast<uint32_t>(random.below(vector.arena_size + 1));
    const size_t most = random.between(1, 6000);
    const TunReadCounts counts = reader.read(tun.near, vector, length, used, 1420, most);
    CHECK(counts.error == 0 || counts.error == EAGAIN);
    CHECK_EQUAL(counts.malformed, 0);
    CHECK_EQUAL(counts.options, 0);
    CHECK(counts.length <= vector.capacity && counts.used <= vector.arena_size);
    uint32_t end = used;
    for (uint32_t i = length; i < counts.length; i++, next++) {
      CHECK_EQUAL(vector.offset[i], end);
      CHECK_EQUAL(vector.count[i], 1);
      CHECK_EQUAL(vector.slot[i], -1);
      CHECK_EQUAL(vector.last_size[i], naive_padded(packets.at(next).size(), 1420) + kOverhead);
      CHECK(packet_at(vector, i, packets[next].size()) == packets[next]);
      end += (static_cast<uint32_t>(vector.last_size[i]) + 15) & ~15u;
    }
    drained = counts.error == EAGAIN;
  }
  CHECK_EQUAL(next, packets.size());
}

CAUSEWAY_TEST(tun_counts_what_it_drops, 50) {
  SocketPair tun;
  TunReader reader;
  OwnedOutbound vector(16, 1 << 17);
  Bytes options = datagram(random, 100);
  options[0] = 0x46;
  VirtioNetHeader unknown{};
  unknown.gso_type = 3;
  send_to(tun, {}, options);
  send_to(tun, unknown, datagram(random, 100));
  send_to(tun, {}, random.bytes(random.below(20)));
  send_to(tun, {}, datagram(random, 10));
  CHECK_EQUAL(write(tun.far, "short", 5), 5);
  TunReadCounts counts = reader.read(tun.near, vector, 0, 0, 1420, 1 << 20);
  CHECK_EQUAL(counts.error, EAGAIN);
  CHECK_EQUAL(counts.options, 1);
  CHECK_EQUAL(counts.unknown_offload, 1);
  CHECK_EQUAL(counts.malformed, 2);
  CHECK_EQUAL(counts.length, 1);

  // Longer than any vector of this size: dropped, not waited with for ever.
  OwnedOutbound small(4, 500);
  send_to(tun, {}, datagram(random, 1000));
  send_to(tun, {}, datagram(random, 10));
  counts = reader.read(tun.near, small, 0, 0, 1420, 1 << 20);
  CHECK_EQUAL(counts.error, EAGAIN);
  CHECK_EQUAL(counts.malformed, 1);
  CHECK_EQUAL(counts.length, 1);
}

CAUSEWAY_TEST(tun_refuses_numbers_that_are_not_the_vector_s, 1) {
  SocketPair tun;
  TunReader reader;
  OwnedOutbound vector(4, 1000);
  send_to(tun, {}, datagram(random, 10));
  CHECK_EQUAL(reader.read(tun.near, vector, 5, 0, 1420, 1000).error, EINVAL);
  CHECK_EQUAL(reader.read(tun.near, vector, 0, 1001, 1420, 1000).error, EINVAL);
  CHECK_EQUAL(reader.read(tun.near, vector, 4, 0, 1420, 1000).length, 4);
  CHECK_EQUAL(reader.read(-1, vector, 0, 0, 1420, 1000).error, EBADF);
}

// A descriptor at its end, or of another kind, must not be read for ever.
CAUSEWAY_TEST(tun_ends_at_the_end_of_a_descriptor, 1) {
  TunReader reader;
  OwnedOutbound vector(4, 1000);
  const int null_device = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const TunReadCounts counts = reader.read(null_device, vector, 0, 0, 1420, 1000);
  close(null_device);
  CHECK_EQUAL(counts.error, EIO);
}
