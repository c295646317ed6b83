#include "packets.h"

namespace causeway::test {

uint16_t naive_checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] * 256u + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<uint16_t>(0xffff - sum);
}

void put16(Bytes& to, size_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void put32(Bytes& to, uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

uint16_t get16(const Bytes& from, size_t at) {
  return static_cast<uint16_t>(from.at(at) * 256 + from.at(at + 1));
}

uint32_t get32(const Bytes& from, size_t at) { return get16(from, at) * 65536u + get16(from, at + 2); }

void set16(Bytes& to, size_t at, size_t value) {
  to.at(at) = static_cast<uint8_t>(value >> 8);
  to.at(at + 1) = static_cast<uint8_t>(value);
}

void set32(Bytes& to, size_t at, uint32_t value) {
  set16(to, at, value >> 16);
  set16(to, at + 2, value & 0xffff);
}

Flow random_flow(Random& random, bool with_extensions) {
  Flow flow;
  flow.v6 = random.coin();
  flow.tcp = random.one_in(3) ? false : true;
  flow.source = random.bytes(flow.v6 ? 16 : 4);
  flow.destination = flow.final_destination = random.bytes(flow.v6 ? 16 : 4);
  flow.source_port = random.word();
  flow.destination_port = random.word();
  flow.traffic_class = random.byte();
  flow.flow_label = static_cast<uint32_t>(random.below(1 << 20));
  flow.hop_limit = random.byte();
  flow.dont_fragment = random.coin();
  flow.acknowledgement = static_cast<uint32_t>(random.next());
  flow.window = random.word();
  flow.urgent = random.one_in(8) ? random.word() : uint16_t{0};
  flow.reserved_bits = random.one_in(8) ? uint8_t{1} : uint8_t{0};
  if (flow.tcp) {
    switch (random.below(3)) {
      case 0:
        break;
      case 1:  // timestamps, as every stack sends them
        flow.options = {1, 1, 8, 10};
        append(flow.options, random.bytes(8));
        break;
      default:
        flow.options = random.bytes(random.below(11) * 4);
    }
  }
  if (with_extensions && flow.v6 && random.one_in(3)) {
    const bool routing = random.coin();
    flow.first_extension = 0;  // hop-by-hop options, then destination options or a routing header
    flow.extensions = {static_cast<uint8_t>(routing ? 43 : 60), 0, 1, 4, 0, 0, 0, 0};
    if (routing) {
      flow.final_destination = random.bytes(16);
      append(flow.extensions, {flow.protocol(), 2, 4, 1, 0, 0, 0, 0});
      append(flow.extensions, flow.final_destination);
    } else {
      append(flow.extensions, {flow.protocol(), 0, 1, 4, 0, 0, 0, 0});
    }
  }
  return flow;
}

static Bytes pseudo_header(const Flow& flow, size_t l4_size) {
  Bytes pseudo = flow.source;
  append(pseudo, flow.final_destination);
  if (flow.v6) {
    put32(pseudo, static_cast<uint32_t>(l4_size));
    put32(pseudo, flow.protocol());
  } else {
    put16(pseudo, flow.protocol());
    put16(pseudo, l4_size);
  }
  return pseudo;
}

uint16_t pseudo_sum(const Flow& flow, size_t l4_size) {
  return static_cast<uint16_t>(~naive_checksum(pseudo_header(flow, l4_size)));
}

Bytes make_packet(const Flow& flow, const Segment& segment, bool partial) {
  Bytes l4;
  put16(l4, flow.source_port);
  put16(l4, flow.destination_port);
  if (flow.tcp) {
    put32(l4, segment.sequence);
    put32(l4, flow.acknowledgement);
    l4.push_back(static_cast<uint8_t>((20 + flow.options.size()) / 4 << 4 | flow.reserved_bits));
    l4.push_back(segment.flags);
    put16(l4, flow.window);
    put16(l4, 0);
    put16(l4, flow.urgent);
    append(l4, flow.options);
  } else {
    put16(l4, 8 + segment.payload.size());
    put16(l4, 0);
  }
  append(l4, segment.payload);
  const size_t field = flow.tcp ? 16 : 6;
  if (partial) {
    set16(l4, field, pseudo_sum(flow, l4.size()));
  } else {
    Bytes summed = pseudo_header(flow, l4.size());
    append(summed, l4);
    const uint16_t sum = naive_checksum(summed);
    set16(l4, field, sum == 0 && !flow.tcp ? 0xffff : sum);  // RFC 768: 0 means none
  }

  Bytes packet;
  if (flow.v6) {
    put32(packet, 6u << 28 | uint32_t{flow.traffic_class} << 20 | flow.flow_label);
    put16(packet, flow.extensions.size() + l4.size());
    packet.push_back(flow.extensions.empty() ? flow.protocol() : flow.first_extension);
    packet.push_back(flow.hop_limit);
    append(packet, flow.source);
    append(packet, flow.destination);
    append(packet, flow.extensions);
  } else {
    packet = {0x45, flow.traffic_class};
    put16(packet, 20 + l4.size());
    put16(packet, segment.id);
    put16(packet, flow.dont_fragment ? 0x4000 : 0);
    packet.push_back(flow.hop_limit);
    packet.push_back(flow.protocol());
    put16(packet, 0);
    append(packet, flow.source);
    append(packet, flow.destination);
    set16(packet, 10, naive_checksum(packet));
  }
  append(packet, l4);
  return packet;
}

size_t naive_padded(size_t size, size_t mtu) {
  const size_t whole = mtu == 0 ? 0 : size > mtu ? size / mtu * mtu : 0;
  size_t rest = size - whole;
  while (rest % 16 != 0 && (mtu == 0 || rest < mtu)) rest++;
  return whole + rest;
}

bool checksums_right(const Bytes& packet) {
  const bool v6 = packet.at(0) >> 4 == 6;
  const size_t header = v6 ? 40 : 20;
  if (!v6 && naive_checksum(Bytes(packet.begin(), packet.begin() + 20)) != 0) return false;
  Flow flow;
  flow.v6 = v6;
  flow.tcp = packet.at(v6 ? 6 : 9) == 6;
  const size_t address = v6 ? 16 : 4;
  const auto addresses = packet.begin() + (v6 ? 8 : 12);
  flow.source.assign(addresses, addresses + address);
  flow.final_destination.assign(addresses + address, addresses + 2 * address);
  Bytes summed = pseudo_header(flow, packet.size() - header);
  summed.insert(summed.end(), packet.begin() + header, packet.end());
  return naive_checksum(summed) == 0;
}

}  // namespace causeway::test
