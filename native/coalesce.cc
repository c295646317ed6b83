#include "coalesce.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "packet.h"
#include "split.h"

namespace causeway {

namespace {

constexpr size_t kMaxIpSize = 65535;
constexpr uint32_t kMaxUdpSegments = 64;  // UDP_MAX_SEGMENTS of the oldest kernels with USO
constexpr uint8_t kDontFragment = 0x40;
constexpr uint8_t kTcpAck = 0x10, kTcpPsh = 0x08;
constexpr uint32_t kMaxTcpSegments = 512;
constexpr int kMaxPieces = 1 + kMaxTcpSegments;  // the virtio header and the packets
static_assert(kMaxPieces <= IOV_MAX, "one writev takes a whole group");

struct L4 {
  size_t header_size = 0;  // IP and L4 header; 0 = not to be merged
  bool tcp = false;
};

// Whether the packet is of a kind that may be merged, and how long its headers are.
L4 mergeable(const uint8_t* packet, const IpPacket& ip, bool tcp, bool udp) {
  if (ip.fragment) return {};
  const uint8_t* l4 = packet + ip.header_size;
  const size_t size = ip.size - ip.header_size;
  if (tcp && ip.protocol == kProtocolTcp && size > 20) {
    const size_t header = size_t{l4[12]} >> 4 << 2;
    const uint8_t flags = l4[13];
    // Only plain data: SYN, FIN, RST, URG, ECE and CWR end a train and go alone.
    if (header < 20 || header >= size || (flags & static_cast<uint8_t>(~kTcpPsh)) != kTcpAck) {
      return {};
    }
    return {ip.header_size + header, true};
  }
  if (udp && ip.protocol == kProtocolUdp && size > 8) {
    const bool no_checksum = l4[6] == 0 && l4[7] == 0;
    if (no_checksum || load_be16(l4 + 4) != size) return {};
    return {ip.header_size + 8, false};
  }
  return {};
}

// Only the first fragment carries them.
bool has_ports(const uint8_t* packet, const IpPacket& ip) {
  return (ip.protocol == kProtocolTcp || ip.protocol == kProtocolUdp) &&
         ip.size >= ip.header_size + 4 && (ip.v6 || (load_be16(packet + 6) & 0x1fff) == 0);
}

size_t flow_hash(const uint8_t* packet, bool v6, int32_t slot) {
  // Addresses and ports lie together: 12 bytes of IPv4 from 12, 36 of IPv6 from 8.
  const uint8_t* from = packet + (v6 ? 8 : 12);
  const size_t words = v6 ? 9 : 3;
  uint32_t hash = static_cast<uint32_t>(slot) * 0x9e3779b1u;
  for (size_t i = 0; i < words; i++) {
    uint32_t word;
    std::memcpy(&word, from + i * 4, 4);
    hash = (hash ^ word) * 0x85ebca6bu;
    hash ^= hash >> 15;
  }
  return hash;
}

// Whether two packets of one size of header differ only in what segmentation makes anew.
bool same_headers(const uint8_t* a, const uint8_t* b, bool v6, bool tcp) {
  if (v6) {
    // Version, class, flow label; next header, hop limit; addresses and ports.
    if (std::memcmp(a, b, 4) != 0 || std::memcmp(a + 6, b + 6, 38) != 0) return false;
  } else {
    // Version, TOS; fragment bits, TTL, protocol; addresses and ports.
    if (std::memcmp(a, b, 2) != 0 || std::memcmp(a + 6, b + 6, 4) != 0 ||
        std::memcmp(a + 12, b + 12, 12) != 0) {
      return false;
    }
  }
  if (!tcp) return true;
  const uint8_t* ta = a + (v6 ? 40 : 20);
  const uint8_t* tb = b + (v6 ? 40 : 20);
  const size_t header = size_t{ta[12]} >> 4 << 2;
  // Acknowledgement, data offset; window; urgent pointer and options. PSH may differ.
  return std::memcmp(ta + 8, tb + 8, 5) == 0 && std::memcmp(ta + 14, tb + 14, 2) == 0 &&
         std::memcmp(ta + 18, tb + 18, header - 18) == 0;
}

// Of the IPv4 header too: a super-packet's is made anew, which would hide the damage.
bool checksums_ok(const uint8_t* packet, bool v6, bool tcp, size_t size) {
  const size_t l4 = v6 ? 40 : 20;
  if (!v6 && !ipv4_checksum_ok(packet)) return false;
  return l4_checksum_ok(packet, v6, tcp ? kProtocolTcp : kProtocolUdp, packet + l4, size - l4);
}

}  // namespace

// Appends a packet whose flow is the group's, if it continues it. `size` is without padding.
bool Coalescer::append(Group& group, const uint8_t* packet, size_t header_size, size_t size,
                       uint32_t message) {
  const bool tcp = group.kind == Kind::kTcp;
  const size_t payload = size - header_size;
  if (!group.open || header_size != group.header_size || payload > group.payload ||
      group.header_size + group.total + payload > kMaxIpSize ||
      group.packets >= (tcp ? kMaxTcpSegments : kMaxUdpSegments) ||
      !same_headers(group.packet, packet, group.v6, tcp)) {
    return false;
  }
  const size_t l4 = group.v6 ? 40 : 20;
  if (tcp && load_be32(packet + l4 + 4) != group.next_sequence) return false;
  // Segmentation counts identifications up. Without DF they matter to whoever reassembles fragments
  // of these packets, and must come out as they went in; with DF they mean nothing (RFC 6864).
  if (!group.v6 && !(packet[6] & kDontFragment) &&
      load_be16(packet + 4) != ((load_be16(group.packet + 4) + group.packets) & 0xffff)) {
    return false;
  }
  if (!group.verified) {
    group.verified = checksums_ok(group.packet, group.v6, tcp, group.first_size);
    if (!group.verified) {
      group.open = false;
      return false;
    }
  }
  if (!checksums_ok(packet, group.v6, tcp, size)) return false;
  links_[message] = {packet + header_size, static_cast<uint32_t>(payload), -1};
  if (group.tail < 0) {
    group.head = static_cast<int32_t>(message);
  } else {
    links_[group.tail].next = static_cast<int32_t>(message);
  }
  group.tail = static_cast<int32_t>(message);
  group.total += static_cast<uint32_t>(payload);
  group.next_sequence += static_cast<uint32_t>(payload);
  group.packets++;
  if (payload < group.payload) group.open = false;
  if (tcp && (packet[l4 + 13] & kTcpPsh)) {
    group.packet[l4 + 13] |= kTcpPsh;
    group.open = false;
  }
  return true;
}

CoalesceCounts Coalescer::gather(const InboundVector& vector, uint32_t length, bool tcp, bool udp,
                                 GroupColumns& columns) {
  CoalesceCounts counts;
  gathered_ = 0;
  generation_++;
  const uint32_t capacity =
      columns.capacity < groups_.size() ? columns.capacity : static_cast<uint32_t>(groups_.size());
  for (uint32_t i = 0; i < length && i < vector.capacity; i++) {
    if (vector.slot[i] < 0) continue;
    Run run;
    uint32_t first = 0;
    if (!vector.messages_at(i, &run, &first)) continue;
    for (uint32_t k = 0; k < run.count; k++) {
      const int32_t plain = vector.plain[first + k];
      if (plain <= 0 || first + k >= links_.size()) continue;
      if (static_cast<size_t>(plain) + kOverhead > run.size_of(k)) continue;
      uint8_t* packet = run.first + k * run.stride + kHeaderSize;
      const IpPacket ip = read_ip(packet, static_cast<size_t>(plain));
      if (ip.state != IpState::kOk) {
        (packet[0] >> 4 == 0                ? counts.path_frames
         : ip.state == IpState::kOptions ? counts.options
                                         : counts.malformed)++;
        continue;
      }
      const L4 l4 = mergeable(packet, ip, tcp, udp);
      Flow* flow = nullptr;
      if (l4.header_size == 0) {
        // A packet that goes alone ends the train of its flow: nothing overtakes it.
        if (has_ports(packet, ip)) {
          flows_[flow_hash(packet, ip.v6, vector.slot[i]) % kFlows].generation = 0;
        }
      } else {
        flow = &flows_[flow_hash(packet, ip.v6, vector.slot[i]) % kFlows];
        if (flow->generation == generation_) {
          Group& group = groups_[flow->group];
          if (group.slot == vector.slot[i] && group.v6 == ip.v6 &&
              group.kind == (l4.tcp ? Kind::kTcp : Kind::kUdp) &&
              append(group, packet, l4.header_size, ip.size, first + k)) {
            columns.packets[flow->group]++;
            continue;
          }
        }
      }
      if (counts.groups >= capacity) {
        counts.malformed++;  // cannot happen: the columns hold as many groups as messages
        continue;
      }
      const uint32_t at = counts.groups++;
      gathered_ = counts.groups;
      Group& group = groups_[at];
      group = Group{};
      group.packet = packet;
      group.header_size = static_cast<uint32_t>(l4.header_size);
      group.first_size = static_cast<uint32_t>(ip.size);
      group.total = group.payload = static_cast<uint32_t>(ip.size - l4.header_size);
      group.packets = 1;
      group.slot = vector.slot[i];
      group.head = group.tail = -1;
      group.v6 = ip.v6;
      group.kind = flow == nullptr ? Kind::kSingle : l4.tcp ? Kind::kTcp : Kind::kUdp;
      if (flow != nullptr) {
        group.open = true;
        if (l4.tcp) {
          const uint8_t* header = packet + ip.header_size;
          group.next_sequence = load_be32(header + 4) + group.payload;
          group.open = !(header[13] & kTcpPsh);
        }
        *flow = {generation_, static_cast<int32_t>(at)};
      }
      columns.run[at] = static_cast<int32_t>(i);
      columns.offset[at] = static_cast<int32_t>(packet - vector.arena);
      columns.packets[at] = 1;
    }
  }
  return counts;
}

// Turns the first packet's headers into the super-packet's: lengths, and a checksum field that
// holds the pseudo-header's sum for the kernel (or the receiving socket) to complete.
void Coalescer::finish_headers(Group& group, VirtioNetHeader* header) {
  const bool tcp = group.kind == Kind::kTcp;
  const size_t l4 = group.v6 ? 40 : 20;
  const size_t size = group.header_size + group.total;
  uint8_t* packet = group.packet;
  if (group.v6) {
    store_be16(packet + 4, size - 40);
  } else {
    store_be16(packet + 2, size);
    write_ipv4_checksum(packet);
  }
  const uint8_t protocol = tcp ? kProtocolTcp : kProtocolUdp;
  if (!tcp) store_be16(packet + l4 + 4, size - l4);
  const uint16_t sum = checksum_fold(pseudo_header_sum(packet, group.v6, protocol, size - l4));
  header->flags = kVirtioNeedsCsum;
  header->gso_type = !tcp ? kVirtioGsoUdpL4 : group.v6 ? kVirtioGsoTcpV6 : kVirtioGsoTcpV4;
  header->hdr_len = static_cast<uint16_t>(group.header_size);
  header->gso_size = static_cast<uint16_t>(group.payload);
  header->csum_start = static_cast<uint16_t>(l4);
  header->csum_offset = tcp ? 16 : 6;
  std::memcpy(packet + l4 + header->csum_offset, &sum, 2);
}

uint32_t Coalescer::write(int tun, const GroupColumns& columns, uint32_t count) {
  uint32_t lost = 0;
  iovec pieces[kMaxPieces];
  for (uint32_t i = 0; i < count && i < columns.capacity && i < gathered_; i++) {
    if (columns.packets[i] <= 0) continue;
    Group& group = groups_[i];
    VirtioNetHeader header{};
    if (group.packets > 1) finish_headers(group, &header);
    int used = 0;
    pieces[used++] = {&header, sizeof header};
    pieces[used++] = {group.packet, group.first_size};
    // As many as were appended: runs that claim the same messages would make a ring of links.
    int32_t link = group.head;
    for (uint32_t k = 1; k < group.packets && link >= 0; k++, link = links_[link].next) {
      pieces[used++] = {const_cast<uint8_t*>(links_[link].payload), links_[link].size};
    }
    ssize_t written = -1;
    while ((written = writev(tun, pieces, used)) < 0 && errno == EINTR) {
    }
    if (written < 0) lost += group.packets;
  }
  return lost;
}

}  // namespace causeway
