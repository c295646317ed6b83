// What is gathered and written must be what a receiver's kernel cuts back into the very packets that
// came in: every super-packet is segmented anew here, byte by byte, and compared.

#include "../coalesce.h"

#include <map>
#include <string>

#include "../packet.h"
#include "../split.h"
#include "packets.h"
#include "vectors.h"

using namespace causeway;
using namespace causeway::test;

namespace {

struct Input {
  Bytes packet;
  int32_t slot = 0;
  int flow = 0;
  int32_t refused = 0;  // what opening said instead of a length, if below 0
};

constexpr size_t kMessages = 520;

// The inputs as opened messages: neighbours of one slot in runs of one stride.
struct Arrival {
  Arrival(Random& random, const std::vector<Input>& inputs, size_t mtu, size_t longest_run = 64)
      : vector(kMessages, kMessages, arena_size(inputs, mtu), 1) {
    size_t at = 0;
    uint32_t message = 0;
    for (size_t i = 0; i < inputs.size(); length++) {
      size_t end = i + 1;
      const size_t most = random.between(1, longest_run);
      while (end < inputs.size() && inputs[end].slot == inputs[i].slot && end - i < most) end++;
      size_t stride = 0;
      for (size_t k = i; k < end; k++) stride = std::max(stride, message_size(inputs[k], mtu));
      vector.offset[length] = static_cast<int32_t>(at);
      vector.stride[length] = static_cast<int32_t>(stride);
      vector.count[length] = static_cast<int32_t>(end - i);
      vector.last_size[length] = static_cast<int32_t>(message_size(inputs[end - 1], mtu));
      vector.slot[length] = inputs[i].slot;
      vector.first[length] = static_cast<int32_t>(message);
      for (; i < end; i++, message++) {
        const Bytes& packet = inputs[i].packet;
        std::memcpy(vector.arena + at + kHeaderSize, packet.data(), packet.size());
        const bool refused = inputs[i].refused < 0;
        const size_t padded = naive_padded(packet.size(), mtu);
        vector.plain[message] = refused ? inputs[i].refused : static_cast<int32_t>(padded);
        at += i + 1 == end ? static_cast<size_t>(vector.last_size[length]) : stride;
      }
    }
  }
  static size_t message_size(const Input& input, size_t mtu) {
    return naive_padded(input.packet.size(), mtu) + kOverhead;
  }
  static size_t arena_size(const std::vector<Input>& inputs, size_t mtu) {
    size_t largest = 0;
    for (const Input& input : inputs) largest = std::max(largest, message_size(input, mtu));
    return largest * inputs.size();
  }

  OwnedInbound vector;
  uint32_t length = 0;
};

// What the kernel makes of one write, by the virtio header alone: virtio 1.2 § 5.1.6.2.
std::vector<Bytes> naive_resegment(const Bytes& written, size_t* first_size) {
  CHECK(written.size() > 10);
  const Bytes packet(written.begin() + 10, written.end());
  const uint8_t flags = written[0], type = written[1];
  const auto field = [&](size_t at) { return written[at] + written[at + 1] * 256u; };
  if (type == 0) {
    CHECK_EQUAL(flags, 0);
    *first_size = packet.size();
    return {packet};
  }
  const size_t header_size = field(2), mss = field(4), l4 = field(6);
  const bool v6 = packet[0] >> 4 == 6;
  const bool tcp = type != 5;
  CHECK_EQUAL(flags, 1);
  CHECK_EQUAL(type, tcp ? (v6 ? 4 : 1) : 5);
  CHECK_EQUAL(l4, v6 ? 40 : 20);
  CHECK_EQUAL(field(8), tcp ? 16 : 6);
  CHECK_EQUAL(header_size, l4 + (tcp ? packet.at(l4 + 12) / 16 * 4 : 8));
  CHECK_EQUAL(v6 ? get16(packet, 4) + 40u : get16(packet, 2), packet.size());
  CHECK(packet.size() - header_size > mss);
  Flow flow;
  flow.v6 = v6;
  flow.tcp = tcp;
  const long address = v6 ? 16 : 4;
  const auto addresses = packet.begin() + (v6 ? 8 : 12);
  flow.source.assign(addresses, addresses + address);
  flow.destination.assign(addresses + address, addresses + 2 * address);
  flow.final_destination = flow.destination;
  CHECK_EQUAL(get16(packet, l4 + (tcp ? 16 : 6)), pseudo_sum(flow, packet.size() - l4));
  if (!v6) CHECK_EQUAL(naive_checksum(Bytes(packet.begin(), packet.begin() + 20)), 0);
  if (!tcp) CHECK_EQUAL(get16(packet, l4 + 4), packet.size() - l4);

  flow.source_port = get16(packet, l4);
  flow.destination_port = get16(packet, l4 + 2);
  flow.traffic_class = v6 ? static_cast<uint8_t>(get16(packet, 0) >> 4) : packet[1];
  flow.flow_label = get32(packet, 0) & 0xfffff;
  flow.hop_limit = packet[v6 ? 7 : 8];
  flow.dont_fragment = !v6 && (packet[6] & 0x40) != 0;
  Segment whole;
  whole.id = v6 ? uint16_t{0} : get16(packet, 4);
  whole.flags = 0;
  if (tcp) {
    whole.sequence = get32(packet, l4 + 4);
    flow.acknowledgement = get32(packet, l4 + 8);
    flow.reserved_bits = packet[l4 + 12] & 0x0f;
    whole.flags = packet[l4 + 13];
    flow.window = get16(packet, l4 + 14);
    flow.urgent = get16(packet, l4 + 18);
    flow.options.assign(packet.begin() + static_cast<long>(l4 + 20),
                        packet.begin() + static_cast<long>(header_size));
  }
  std::vector<Bytes> segments;
  for (size_t at = header_size; at < packet.size(); at += mss) {
    const size_t end = std::min(at + mss, packet.size());
    Segment piece;
    piece.id = static_cast<uint16_t>(whole.id + segments.size());
    piece.sequence = whole.sequence + static_cast<uint32_t>(at - header_size);
    piece.flags = whole.flags;
    if (end < packet.size()) piece.flags &= static_cast<uint8_t>(~(kFin | kPsh));
    piece.payload.assign(packet.begin() + static_cast<long>(at), packet.begin() + static_cast<long>(end));
    segments.push_back(make_packet(flow, piece));
  }
  *first_size = segments[0].size();
  return segments;
}

// RFC 6864: the identification of a packet that cannot be fragmented means nothing, so it may change.
Bytes without_atomic_id(Bytes packet) {
  const bool atomic = packet[0] >> 4 == 4 && (packet[6] & 0x40) != 0;
  if (!atomic || naive_checksum(Bytes(packet.begin(), packet.begin() + (packet[0] & 15) * 4)) != 0) {
    return packet;
  }
  set16(packet, 4, 0);
  set16(packet, 10, 0);
  set16(packet, 10, naive_checksum(Bytes(packet.begin(), packet.begin() + 20)));
  return packet;
}

// Gathers, writes group by group, and compares with what came in.
void check_coalescing(Random& random, const std::vector<Input>& inputs, bool tcp, bool udp) {
  const size_t mtu = random.of({size_t{1420}, size_t{1280}, size_t{0}});
  Arrival arrival(random, inputs, mtu);
  OwnedInbound& vector = arrival.vector;
  OwnedGroups groups(kMessages);
  Coalescer coalescer(kMessages, kMessages);
  const CoalesceCounts counts = coalescer.gather(vector, arrival.length, tcp, udp, groups);

  // Where each input's packet begins in the arena, to know it again in the columns.
  std::map<int32_t, size_t> input_at;
  std::map<std::pair<int32_t, std::string>, std::vector<size_t>> waiting;
  size_t expected = 0, options = 0, path_frames = 0;
  for (uint32_t run = 0, i = 0; run < arrival.length; run++) {
    for (int32_t k = 0; k < vector.count[run]; k++, i++) {
      const Input& input = inputs[i];
      input_at[vector.offset[run] + k * vector.stride[run] + int32_t{kHeaderSize}] = i;
      if (input.refused < 0) continue;
      if (input.packet[0] >> 4 == 0) {
        path_frames++;
        continue;
      }
      if (input.packet[0] >> 4 == 4 && (input.packet[0] & 15) > 5) {
        options++;
        continue;
      }
      expected++;
      const Bytes key = without_atomic_id(input.packet);
      waiting[{input.slot, std::string(key.begin(), key.end())}].push_back(i);
    }
  }
  CHECK_EQUAL(counts.options, options);
  CHECK_EQUAL(counts.path_frames, path_frames);
  CHECK_EQUAL(counts.malformed, 0);
  size_t gathered = 0;
  for (uint32_t g = 0; g < counts.groups; g++) {
    CHECK(groups.packets[g] > 0);
    gathered += static_cast<size_t>(groups.packets[g]);
    CHECK(input_at.contains(groups.offset[g]));
    const Input& input = inputs[input_at[groups.offset[g]]];
    CHECK(groups.run[g] >= 0 && groups.run[g] < static_cast<int32_t>(arrival.length));
    CHECK_EQUAL(vector.slot[groups.run[g]], input.slot);
  }
  CHECK_EQUAL(gathered, expected);

  std::map<int, size_t> newest;  // of each flow, the last input that was written
  SocketPair tun;
  // Written one at a time, so that a small socket buffer is enough.
  OwnedGroups one(kMessages);
  for (uint32_t g = 0; g < counts.groups; g++) {
    // What JavaScript has set to 0 is not written.
    CHECK_EQUAL(coalescer.write(tun.near, one, counts.groups), 0);
    CHECK(tun.next().empty());
    one.packets[g] = groups.packets[g];
    CHECK_EQUAL(coalescer.write(tun.near, one, counts.groups), 0);
    const Bytes written = tun.next();
    CHECK(!written.empty());
    CHECK(tun.next().empty());
    one.packets[g] = 0;
    size_t first_size = 0;
    const std::vector<Bytes> segments = naive_resegment(written, &first_size);
    CHECK_EQUAL(segments.size(), groups.packets[g]);
    CHECK_EQUAL(first_size, inputs[input_at[groups.offset[g]]].packet.size());
    for (const Bytes& segment : segments) {
      const Bytes key = without_atomic_id(segment);
      auto& same = waiting[{vector.slot[groups.run[g]], std::string(key.begin(), key.end())}];
      if (same.empty()) {
        test::fail(__FILE__, __LINE__, "a packet that nobody sent (one of %zu)", segments.size());
      }
      const size_t i = same.front();
      same.erase(same.begin());
      const auto before = newest.find(inputs[i].flow);
      if (before != newest.end() && before->second > i) {
        test::fail(__FILE__, __LINE__, "packet %zu of flow %d is written behind packet %zu", i,
                   inputs[i].flow, before->second);
      }
      newest[inputs[i].flow] = i;
      if (segments.size() > 1) CHECK(checksums_right(inputs[i].packet));
    }
  }
}

// One side of a conversation, which now and then does everything that ends a train.
struct Sender {
  Flow flow;
  Segment next;
  size_t mss;
  int32_t slot;
  int number;
  uint32_t serial = 0;

  Sender(Random& random, int index)
      : flow(random_flow(random, false)), mss(random.between(8, 1380)), slot(0), number(index) {
    if (random.one_in(3)) mss = 1300;
    next.id = random.one_in(4) ? uint16_t{0xfff0} : random.word();
    next.sequence = random.one_in(4) ? 0xfffff000u : static_cast<uint32_t>(random.next());
    slot = static_cast<int32_t>(random.below(3));
  }

  Input make(Random& random) {
    Segment segment = next;
    segment.flags = flow.tcp ? kAck : uint8_t{0};
    size_t size = random.one_in(10) ? random.between(1, mss) : mss;
    enum { kOrdinary, kBadChecksum, kBadIpChecksum, kFragment, kOptions } damage = kOrdinary;
    switch (random.below(40)) {
      case 0:
        segment.flags |= kPsh;
        break;
      case 1:  // control bits and pure acknowledgements
        if (!flow.tcp) break;
        segment.flags |= random.of({kFin, kSyn, kRst, kUrg, kEce, kCwr});
        break;
      case 2:
        size = 0;
        break;
      case 3:
        size = std::min<size_t>(mss + random.between(1, 20), 1400);
        break;
      case 4:
        damage = kBadChecksum;
        break;
      case 5:
        damage = kBadIpChecksum;
        break;
      case 6:
        damage = kFragment;
        break;
      case 7:
        damage = kOptions;
        break;
      case 8:  // another header from here on
        flow.traffic_class = random.byte();
        break;
      case 9:
        flow.hop_limit++;
        break;
      case 10:
        flow.acknowledgement++;
        break;
      case 11:
        flow.window--;
        break;
      case 12:
        if (!flow.options.empty()) flow.options.back()++;
        break;
      case 13:
        flow.flow_label ^= 1;
        break;
      case 14:
        flow.dont_fragment = !flow.dont_fragment;
        break;
      case 15:  // lost on the way
        next.sequence += static_cast<uint32_t>(mss);
        segment.sequence = next.sequence;
        next.id = segment.id = static_cast<uint16_t>(next.id + random.below(3));
        break;
      case 16:  // came again
        segment.sequence -= static_cast<uint32_t>(mss);
        break;
      case 17:
        flow.reserved_bits ^= 1;
        break;
    }
    segment.payload = random.bytes(size);
    for (size_t i = 0; i < 4 && i < size; i++) segment.payload[i] = static_cast<uint8_t>(serial >> (8 * i));
    Input input;
    input.slot = slot;
    input.flow = number;
    Bytes& packet = input.packet;
    packet = make_packet(flow, segment);
    const size_t header = flow.v6 ? 40 : 20;
    const int alone = 1000 + number * 1000 + static_cast<int>(serial & 0xffff);
    if (damage == kBadChecksum) {
      const size_t at = header + random.below(packet.size() - header);
      packet[at] ^= static_cast<uint8_t>(1 << random.below(8));
      // A change of the ports is a packet of another flow, and that of a length another matter.
      if (at < header + 4) input.flow = alone;
    } else if (damage == kBadIpChecksum && !flow.v6) {
      packet[10 + random.below(2)] ^= 0x10;
    } else if (damage == kFragment && !flow.v6) {
      // First fragments carry the ports, the others do not.
      const bool is_first = random.coin();
      set16(packet, 6, is_first ? 0x2000 : 0x2001);
      set16(packet, 10, 0);
      set16(packet, 10, naive_checksum(Bytes(packet.begin(), packet.begin() + 20)));
      if (!is_first) input.flow = alone;
    } else if (damage == kOptions && !flow.v6) {
      packet.insert(packet.begin() + 20, {1, 1, 1, 0});
      packet[0] = 0x46;
      set16(packet, 2, packet.size());
    } else if (!flow.tcp && random.one_in(30)) {
      set16(packet, header + 6, 0);  // no checksum
    }
    serial++;
    if (flow.tcp && random.one_in(200)) input.refused = -1 - static_cast<int32_t>(random.below(2));
    next.sequence += static_cast<uint32_t>(size);
    next.id++;
    return input;
  }
};

std::vector<Input> train(Random& random, const Flow& flow, size_t packets, size_t mss, size_t last) {
  std::vector<Input> inputs;
  Segment segment;
  segment.sequence = 0xffffff00;
  segment.flags = flow.tcp ? kAck : uint8_t{0};
  for (size_t k = 0; k < packets; k++) {
    segment.payload = random.bytes(k + 1 == packets ? last : mss);
    inputs.push_back({make_packet(flow, segment), 0, 0, 0});
    segment.sequence += static_cast<uint32_t>(segment.payload.size());
    segment.id++;
  }
  return inputs;
}

size_t writes_of(Random& random, const std::vector<Input>& inputs) {
  Arrival arrival(random, inputs, 1420);
  OwnedGroups groups(kMessages);
  Coalescer coalescer(kMessages, kMessages);
  return coalescer.gather(arrival.vector, arrival.length, true, true, groups).groups;
}

}  // namespace

CAUSEWAY_TEST(coalesce_conversations, 500) {
  std::vector<Sender> senders;
  const int count = static_cast<int>(random.between(1, 6));
  for (int i = 0; i < count; i++) {
    senders.emplace_back(random, i);
    // Two peers may use the same addresses and ports at the same time.
    if (i > 0 && random.one_in(4)) {
      senders[i].flow.v6 = senders[i - 1].flow.v6;
      senders[i].flow.tcp = senders[i - 1].flow.tcp;
      senders[i].flow.source = senders[i - 1].flow.source;
      senders[i].flow.destination = senders[i - 1].flow.destination;
      senders[i].flow.final_destination = senders[i - 1].flow.destination;
      senders[i].flow.source_port = senders[i - 1].flow.source_port;
      senders[i].flow.destination_port = senders[i - 1].flow.destination_port;
      senders[i].flow.options.clear();
      senders[i].slot = senders[i - 1].slot + 1;
      senders[i].serial = static_cast<uint32_t>(i) << 16;
    }
  }
  std::vector<Input> inputs;
  const size_t total = random.between(1, random.one_in(4) ? 500 : 150);
  while (inputs.size() < total) {
    Sender& sender = senders[random.below(senders.size())];
    const size_t burst = random.between(1, 60);
    for (size_t k = 0; k < burst && inputs.size() < total; k++) inputs.push_back(sender.make(random));
  }
  check_coalescing(random, inputs, !random.one_in(10), !random.one_in(10));
}

CAUSEWAY_TEST(coalesce_makes_one_of_a_train, 200) {
  const Flow flow = random_flow(random, false);
  const size_t mss = random.between(2, 1300);
  const size_t most = std::min<size_t>(flow.tcp ? 512 : 64, (65535 - flow.header_size()) / mss);
  const size_t packets = random.between(2, most);
  std::vector<Input> inputs = train(random, flow, packets, mss, random.between(1, mss));
  CHECK_EQUAL(writes_of(random, inputs), 1);
  check_coalescing(random, inputs, true, true);
  CHECK_EQUAL(writes_of(random, train(random, flow, packets + 1, mss, mss)), packets == most ? 2 : 1);
}

// Path frames are in no group, whatever their size and wherever in a run they lie.
CAUSEWAY_TEST(coalesce_passes_path_frames_over, 200) {
  std::vector<Input> inputs = train(random, random_flow(random, false), 9, 100, 100);
  for (size_t frames = random.between(1, 5); frames > 0; frames--) {
    Input frame = inputs[0];
    frame.packet = Bytes(random.between(16, 200));
    frame.packet[0] = static_cast<uint8_t>(random.below(16));
    inputs.insert(inputs.begin() + static_cast<long>(random.below(inputs.size() + 1)), frame);
  }
  check_coalescing(random, inputs, true, true);
}

CAUSEWAY_TEST(coalesce_never_merges_a_wrong_checksum, 300) {
  const Flow flow = random_flow(random, false);
  std::vector<Input> inputs = train(random, flow, 9, 100, 100);
  // The packet before it, it alone, and those behind it: three writes, whatever byte was changed.
  const size_t broken = random.between(1, 7);
  const size_t l4 = flow.l4_offset();
  Bytes& packet = inputs[broken].packet;
  size_t at = l4 + (flow.tcp ? 20 : 8) + random.below(packet.size() - l4 - (flow.tcp ? 20 : 8));
  if (!flow.v6 && random.coin()) at = 10 + random.below(2);
  packet[at] ^= static_cast<uint8_t>(1 << random.below(8));
  CHECK(!checksums_right(packet));
  CHECK_EQUAL(writes_of(random, inputs), 3);
  check_coalescing(random, inputs, true, true);
}

// An IPv4 packet that may be fragmented keeps its identification: two packets that got the same one
// could be put together wrongly by whoever receives their fragments.
CAUSEWAY_TEST(coalesce_keeps_identifications, 200) {
  Flow flow = random_flow(random, false);
  if (flow.v6) return;
  std::vector<Input> inputs = train(random, flow, 4, 100, 100);
  for (Input& input : inputs) {
    set16(input.packet, 4, 77);
    set16(input.packet, 10, 0);
    set16(input.packet, 10, naive_checksum(Bytes(input.packet.begin(), input.packet.begin() + 20)));
  }
  CHECK_EQUAL(writes_of(random, inputs), flow.dont_fragment ? 1 : 4);
  check_coalescing(random, inputs, true, true);
}

CAUSEWAY_TEST(coalesce_keeps_udp_order, 200) {
  Flow flow = random_flow(random, false);
  flow.tcp = false;
  flow.options.clear();
  std::vector<Input> inputs = train(random, flow, 5, 100, 100);
  Segment segment;
  segment.flags = 0;
  segment.id = 2;
  const size_t l4 = flow.l4_offset();
  switch (random.below(3)) {
    case 0:  // nothing in it
      inputs[2].packet = make_packet(flow, segment);
      break;
    case 1:  // no checksum
      set16(inputs[2].packet, l4 + 6, 0);
      break;
    default:  // a length that is not the packet's
      set16(inputs[2].packet, l4 + 4, 50);
  }
  CHECK_EQUAL(writes_of(random, inputs), 3);
  check_coalescing(random, inputs, true, true);
}

CAUSEWAY_TEST(coalesce_writes_nothing_that_was_not_gathered, 1) {
  SocketPair tun;
  OwnedGroups groups(64);
  for (int32_t& value : groups.memory) value = 5;
  Coalescer coalescer(64, 64);
  CHECK_EQUAL(coalescer.write(tun.near, groups, 64), 0);
  CHECK(tun.next().empty());
  CHECK_EQUAL(coalescer.write(tun.near, groups, 0xffffffff), 0);
  CHECK(tun.next().empty());
}

// Two runs that claim the same messages: the links of a group must not become a ring.
CAUSEWAY_TEST(coalesce_survives_runs_that_share_messages, 50) {
  Flow flow = random_flow(random, false);
  flow.dont_fragment = true;
  const std::vector<Input> inputs = train(random, flow, 8, 100, 100);
  Arrival arrival(random, inputs, 1420, random.between(1, 4));
  for (uint32_t run = 0; run < arrival.length; run++) arrival.vector.first[run] = 0;
  for (size_t m = 0; m < 8; m++) arrival.vector.plain[m] = arrival.vector.plain[0];
  SocketPair tun;
  OwnedGroups groups(kMessages);
  Coalescer coalescer(kMessages, kMessages);
  const CoalesceCounts counts = coalescer.gather(arrival.vector, arrival.length, true, true, groups);
  coalescer.write(tun.near, groups, counts.groups);
}
