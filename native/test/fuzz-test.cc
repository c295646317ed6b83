// Random and mutated input: nothing outside the given memory is touched (AddressSanitizer watches),
// and what is accepted makes sense.

#include <fcntl.h>
#include <unistd.h>

#include "../coalesce.h"
#include "../packet.h"
#include "../split.h"
#include "packets.h"
#include "vectors.h"

using namespace causeway;
using namespace causeway::test;

namespace {

// A packet of the kind that the code reads furthest into, damaged in a few places.
Bytes mutated_packet(Random& random, bool partial) {
  const Flow flow = random_flow(random, true);
  Segment segment;
  segment.payload = random.bytes(random.below(300));
  Bytes packet = make_packet(flow, segment, partial);
  for (size_t i = random.below(4); i > 0; i--) {
    packet[random.below(std::min<size_t>(packet.size(), 64))] = random.byte();
  }
  if (random.one_in(4)) packet.resize(random.below(packet.size() + 1));
  packet.shrink_to_fit();
  return packet;
}

}  // namespace

CAUSEWAY_TEST(fuzz_read_ip, 600000) {
  const Bytes bytes = random.one_in(4) ? random.bytes(random.below(64)) : mutated_packet(random, false);
  const IpPacket ip = read_ip(bytes.data(), bytes.size());
  if (ip.state == IpState::kMalformed) return;
  CHECK(ip.size <= bytes.size());
  CHECK(ip.header_size <= ip.size);
  CHECK_EQUAL(ip.v6, bytes[0] >> 4 == 6);
  if (ip.state == IpState::kOk) CHECK_EQUAL(ip.header_size, ip.v6 ? 40 : 20);
}

CAUSEWAY_TEST(fuzz_split, 600000) {
  Bytes packet = mutated_packet(random, true);
  VirtioNetHeader header{};
  header.flags = random.one_in(8) ? random.byte() : kVirtioNeedsCsum;
  header.gso_type = random.one_in(8) ? random.byte()
                                     : random.of({kVirtioGsoNone, kVirtioGsoTcpV4, kVirtioGsoTcpV6,
                                                  kVirtioGsoUdpL4});
  header.hdr_len = random.word();
  header.gso_size = static_cast<uint16_t>(random.one_in(8) ? random.word() : random.below(300));
  header.csum_start = static_cast<uint16_t>(
      random.one_in(8) ? random.word() : random.of({20, 40, 56, static_cast<int>(random.below(80))}));
  header.csum_offset = static_cast<uint16_t>(random.one_in(8) ? random.word() : random.of({6, 16}));
  const size_t mtu = random.one_in(4) ? random.word() : 1420;
  const size_t room_size = random.one_in(4) ? random.below(400) : 70000;
  static Bytes large(70000);
  Bytes small(room_size < 70000 ? room_size : 0);
  uint8_t* const room = room_size < 70000 ? small.data() : large.data();
  SplitRun run;
  const SplitResult result = split(header, packet.data(), packet.size(), mtu, room, room_size, &run);
  if (result != SplitResult::kOk) return;
  CHECK(run.count >= 1);
  CHECK(run.last_size <= run.stride);
  CHECK(run.stride <= kMaxDatagram);
  CHECK(run.last_size > kOverhead);
  CHECK(run.bytes() <= room_size);
}

CAUSEWAY_TEST(fuzz_gather, 20000) {
  static const int null_device = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const uint32_t messages = static_cast<uint32_t>(random.between(1, 64));
  OwnedInbound vector(static_cast<uint32_t>(random.between(1, 16)), messages, random.below(4000), 1);
  OwnedGroups groups(messages);
  Coalescer coalescer(messages, messages);
  for (int visit = 0; visit < 3; visit++) {
    random.fill(vector.bytes.data(), vector.bytes.size());
    vector.scramble(random);
    // Real packets at some of the places where the columns look for them.
    Flow flow = random_flow(random, false);
    flow.dont_fragment = true;
    Segment segment;
    segment.payload = random.bytes(20);
    for (uint32_t i = 0; i < vector.capacity; i++) {
      Run run;
      uint32_t first;
      if (!vector.messages_at(i, &run, &first)) continue;
      for (size_t k = 0; k < run.count; k++) {
        const Bytes packet = random.coin() ? make_packet(flow, segment) : mutated_packet(random, false);
        if (packet.empty() || packet.size() + kOverhead > run.size_of(k)) continue;
        std::memcpy(run.first + k * run.stride + kHeaderSize, packet.data(), packet.size());
        vector.plain[first + k] = static_cast<int32_t>(packet.size());
        segment.sequence += 20;
      }
    }
    const uint32_t length = random.coin() ? vector.capacity : static_cast<uint32_t>(random.next());
    const CoalesceCounts counts = coalescer.gather(vector, length, true, true, groups);
    CHECK(counts.groups <= messages);
    if (random.one_in(3)) random.fill(reinterpret_cast<uint8_t*>(groups.memory.data()), messages * 12);
    coalescer.write(null_device, groups, random.coin() ? counts.groups : static_cast<uint32_t>(random.next()));
  }
}
