// Super-packets of the kernel against segments made one by one: what tcp_gso_segment,
// __udp_gso_segment and inet_gso_segment of Linux would have sent.

#include "../packet.h"
#include "../split.h"
#include "../vector.h"
#include "packets.h"

using namespace causeway;
using namespace causeway::test;

namespace {

constexpr uint8_t kUntouched = 0xa5;

VirtioNetHeader super_header(const Flow& flow, size_t mss) {
  VirtioNetHeader header{};
  header.flags = kVirtioNeedsCsum;
  header.gso_type = !flow.tcp ? kVirtioGsoUdpL4 : flow.v6 ? kVirtioGsoTcpV6 : kVirtioGsoTcpV4;
  header.hdr_len = static_cast<uint16_t>(flow.header_size());
  header.gso_size = static_cast<uint16_t>(mss);
  header.csum_start = static_cast<uint16_t>(flow.l4_offset());
  header.csum_offset = flow.tcp ? 16 : 6;
  return header;
}

// What Linux would have sent for a super-packet, in order.
std::vector<Bytes> naive_segments(const Flow& flow, const Segment& whole, size_t mss) {
  std::vector<Bytes> segments;
  const size_t total = whole.payload.size();
  for (size_t at = 0; at < total; at += mss) {
    const bool is_last = at + mss >= total;
    Segment piece;
    piece.id = static_cast<uint16_t>(whole.id + segments.size());
    piece.sequence = whole.sequence + static_cast<uint32_t>(at);
    piece.flags = whole.flags;
    if (!is_last) piece.flags &= static_cast<uint8_t>(~(kFin | kPsh));
    if (at > 0) piece.flags &= static_cast<uint8_t>(~kCwr);
    piece.payload.assign(whole.payload.begin() + static_cast<long>(at),
                         whole.payload.begin() + static_cast<long>(is_last ? total : at + mss));
    segments.push_back(make_packet(flow, piece));
  }
  return segments;
}

// Compares messages with packets, and that nothing else was written.
void check_messages(const Bytes& room, const SplitRun& run, const std::vector<Bytes>& packets,
                    size_t mtu) {
  CHECK_EQUAL(run.count, packets.size());
  Bytes wanted(room.size(), kUntouched);
  size_t stride = 0;
  for (size_t k = 0; k < packets.size(); k++) {
    const size_t padded = naive_padded(packets[k].size(), mtu);
    const size_t size = padded + kOverhead;
    if (k == 0) stride = size;
    if (k + 1 < packets.size()) CHECK_EQUAL(size, stride);
    if (k + 1 == packets.size()) CHECK_EQUAL(run.last_size, size);
    uint8_t* const message = wanted.data() + k * stride + kHeaderSize;
    std::memcpy(message, packets[k].data(), packets[k].size());
    std::memset(message + packets[k].size(), 0, padded - packets[k].size());
  }
  CHECK_EQUAL(run.stride, stride);
  for (size_t i = 0; i < room.size(); i++) {
    if (room[i] == wanted[i]) continue;
    const size_t k = i / stride;
    test::fail(__FILE__, __LINE__, "byte %zd of segment %zu of %zu is %02x, not %02x",
               static_cast<ssize_t>(i - k * stride - kHeaderSize), k, packets.size(), room[i],
               wanted[i]);
  }
}

// Splits into a room that is exactly large enough, then into ones that are not.
void check_split(const VirtioNetHeader& header, const Bytes& packet, const std::vector<Bytes>& wanted,
                 size_t mtu, size_t spare) {
  size_t room_size = spare;
  for (const Bytes& segment : wanted) room_size += naive_padded(segment.size(), mtu) + kOverhead;
  Bytes room(room_size, kUntouched);
  Bytes input = packet;
  SplitRun run;
  const SplitResult result =
      split(header, input.data(), input.size(), mtu, room.data(), room.size(), &run);
  CHECK_EQUAL(result, SplitResult::kOk);
  check_messages(room, run, wanted, mtu);

  for (const size_t less : {size_t{1}, room_size - spare}) {
    Bytes small(room_size - spare - less, kUntouched);
    input = packet;
    const SplitResult refused =
        split(header, input.data(), input.size(), mtu, small.data(), small.size(), &run);
    CHECK_EQUAL(refused, SplitResult::kNoRoom);
    CHECK(small == Bytes(small.size(), kUntouched));
  }
}

Segment random_segment(Random& random, const Flow& flow, size_t payload) {
  Segment segment;
  segment.id = random.one_in(4) ? uint16_t{0xfffe} : random.word();
  segment.sequence = random.one_in(4) ? 0xffffff00u : static_cast<uint32_t>(random.next());
  segment.flags = flow.tcp ? static_cast<uint8_t>(kAck | (random.byte() & ~(kSyn | kRst))) : 0;
  segment.payload = random.bytes(payload);
  return segment;
}

const size_t kMtus[] = {0, 576, 1280, 1419, 1420, 1500, 8920, 65535};

}  // namespace

CAUSEWAY_TEST(split_super_packets, 12000) {
  const Flow flow = random_flow(random, true);
  const size_t largest = (flow.v6 ? 65575 : 65535) - flow.header_size();
  const size_t most = random.one_in(20) ? largest : random.one_in(3) ? 200 : 6000;
  const size_t payload = random.between(1, most);
  size_t mss = random.one_in(5) ? random.between(1, 40) : random.between(20, 1500);
  // The full run of tiny segments is checked now and then; it is 65,000 packets long.
  if (payload / mss > 200 && !random.one_in(40)) mss = payload / 100 + 1;
  const Segment whole = random_segment(random, flow, payload);
  VirtioNetHeader header = super_header(flow, mss);
  if (flow.tcp && random.coin()) header.gso_type |= kVirtioGsoEcn;
  if (random.coin()) header.hdr_len = random.word();  // a hint; the kernel's may be anything
  Bytes packet = make_packet(flow, whole, true);
  // Bytes behind the packet's own length do not belong to it.
  if (random.one_in(4)) append(packet, random.bytes(random.between(1, 40)));
  check_split(header, packet, naive_segments(flow, whole, mss), random.of(kMtus), random.below(64));
}

CAUSEWAY_TEST(split_single_packets, 6000) {
  const Flow flow = random_flow(random, true);
  const size_t most = random.one_in(20) ? kMaxDatagram - kOverhead - flow.header_size() : 1600;
  const Segment segment = random_segment(random, flow, random.below(most + 1));
  const bool partial = random.coin();
  VirtioNetHeader header{};
  Bytes packet = make_packet(flow, segment, partial);
  Bytes wanted = make_packet(flow, segment);
  if (partial) {
    header = super_header(flow, 0);
    header.gso_type = kVirtioGsoNone;
    // skb_checksum_help writes ffff for 0 whatever the protocol is.
    const size_t field = flow.l4_offset() + header.csum_offset;
    if (get16(wanted, field) == 0) set16(wanted, field, 0xffff);
  }
  if (random.one_in(4)) append(packet, random.bytes(random.between(1, 40)));
  const size_t mtu = random.of(kMtus);
  // Padding is refused where the datagram would become too long for UDP.
  if (naive_padded(wanted.size(), mtu) + kOverhead > kMaxDatagram) return;
  check_split(header, packet, {wanted}, mtu, random.below(64));
}

CAUSEWAY_TEST(split_other_protocols_pass_as_they_are, 500) {
  Flow flow = random_flow(random, false);
  Bytes packet = make_packet(flow, random_segment(random, flow, random.below(1400)));
  packet[flow.v6 ? 6 : 9] = random.of({uint8_t{1}, uint8_t{47}, uint8_t{50}, uint8_t{58}});
  check_split(VirtioNetHeader{}, packet, {packet}, 1420, 0);
}

// A sum of 0 is sent as ffff by UDP, whose 0 means that there is none (RFC 768).
CAUSEWAY_TEST(split_udp_checksum_of_zero, 200) {
  Flow flow = random_flow(random, true);
  flow.tcp = false;
  flow.options.clear();
  if (!flow.extensions.empty()) flow.extensions[8] = flow.protocol();
  Segment whole = random_segment(random, flow, 64);
  // The second segment's last word is chosen so that everything sums up to ffff.
  Segment second = whole;
  second.payload.assign(whole.payload.begin() + 32, whole.payload.end());
  set16(second.payload, 30, 0);
  const Bytes without = make_packet(flow, second);
  set16(whole.payload, 62, get16(without, flow.l4_offset() + 6));
  const std::vector<Bytes> segments = naive_segments(flow, whole, 32);
  CHECK_EQUAL(get16(segments[1], flow.l4_offset() + 6), 0xffff);
  check_split(super_header(flow, 32), make_packet(flow, whole, true), segments, 1420, 0);
}

CAUSEWAY_TEST(split_refuses_what_it_does_not_know, 2000) {
  Flow flow = random_flow(random, true);
  const Segment whole = random_segment(random, flow, 3000);
  VirtioNetHeader header = super_header(flow, 1000);
  Bytes packet = make_packet(flow, whole, true);
  SplitResult wanted = SplitResult::kMalformed;
  switch (random.below(12)) {
    case 0:  // a type of offload that was never asked for
      header.gso_type = random.of({uint8_t{2}, uint8_t{3}, uint8_t{6}, uint8_t{0x7f}, uint8_t{0xff}});
      wanted = SplitResult::kUnknownOffload;
      break;
    case 1:  // the other IP version's
      header.gso_type = flow.v6 ? kVirtioGsoTcpV4 : kVirtioGsoTcpV6;
      wanted = SplitResult::kUnknownOffload;
      break;
    case 2:
      header.gso_size = 0;
      break;
    case 3:
      header.flags = 0;
      break;
    case 4:
      header.csum_start = static_cast<uint16_t>(random.below(flow.v6 ? 40 : 20));
      break;
    case 5:
      header.csum_start = static_cast<uint16_t>(random.between(packet.size() - 8, 65535));
      break;
    case 6:  // claims to be longer than it is
      set16(packet, flow.v6 ? 4 : 2, packet.size() + 1);
      break;
    case 7:
      packet.resize(random.below(packet.size()));
      break;
    case 8:
      packet[0] = static_cast<uint8_t>(packet[0] & 0x0f) | uint8_t{0x50};
      break;
    case 9:
      if (flow.v6) return;
      packet[0] = static_cast<uint8_t>(0x40 | random.between(6, 15));
      wanted = SplitResult::kOptions;
      break;
    case 10:
      if (flow.v6) return;
      packet[0] = static_cast<uint8_t>(0x40 | random.below(5));
      break;
    default:  // IPv4 has nothing that could stand between its header and L4
      if (flow.v6) return;
      header.csum_start = static_cast<uint16_t>(20 + random.between(1, 40) * 4);
      if (flow.tcp) packet[header.csum_start + 12u] = 0x50;
  }
  Bytes room(1 << 16, kUntouched);
  SplitRun run;
  const SplitResult result =
      split(header, packet.data(), packet.size(), 1420, room.data(), room.size(), &run);
  CHECK_EQUAL(result, wanted);
  CHECK(room == Bytes(room.size(), kUntouched));
}

// Longer than UDP can carry, whether it is one packet or a super-packet of one segment.
CAUSEWAY_TEST(split_refuses_what_no_datagram_holds, 100) {
  const Flow flow = random_flow(random, true);
  const size_t headers = flow.header_size();
  const Segment whole = random_segment(random, flow, random.between(65476, 65535) - headers);
  VirtioNetHeader header = super_header(flow, random.coin() ? 65535 : 65500);
  if (random.coin()) header.gso_type = kVirtioGsoNone;
  Bytes packet = make_packet(flow, whole, true);
  Bytes room(1 << 17, kUntouched);
  SplitRun run;
  CHECK_EQUAL(split(header, packet.data(), packet.size(), 0, room.data(), room.size(), &run),
              SplitResult::kMalformed);
  CHECK(room == Bytes(room.size(), kUntouched));
}

CAUSEWAY_TEST(padding, 20000) {
  const size_t mtu = random.one_in(3) ? random.of(kMtus) : random.between(0, 3000);
  const size_t size = random.between(0, random.one_in(3) ? 65535 : 3000);
  CHECK_EQUAL(padded_size(size, mtu), naive_padded(size, mtu));
}

CAUSEWAY_TEST(checksum, 20000) {
  const Bytes bytes = random.bytes(random.below(random.one_in(50) ? 66000 : 200));
  const size_t start = random.below(bytes.size() + 1) & ~size_t{1};
  uint64_t sum = checksum_add(0, bytes.data(), start);
  sum = checksum_add(sum, bytes.data() + start, bytes.size() - start);
  const uint16_t folded = static_cast<uint16_t>(~checksum_fold(sum));
  uint8_t stored[2];
  std::memcpy(stored, &folded, 2);
  CHECK_EQUAL(stored[0] * 256 + stored[1], naive_checksum(bytes));
}
