#include "split.h"

#include <cstring>

#include "packet.h"
#include "vector.h"

namespace causeway {

size_t padded_size(size_t size, size_t mtu) {
  if (mtu == 0) return (size + 15) & ~size_t{15};
  const size_t last_unit = size > mtu ? size % mtu : size;
  size_t padded = (last_unit + 15) & ~size_t{15};
  if (padded > mtu) padded = mtu;
  return size + (padded - last_unit);
}

namespace {

// Copies one finished piece into its message and pads it. Returns the message's size.
size_t put_message(uint8_t* message, const uint8_t* header, size_t header_size,
                   const uint8_t* payload, size_t payload_size, size_t padded) {
  uint8_t* body = message + kHeaderSize;
  std::memcpy(body, header, header_size);
  std::memcpy(body + header_size, payload, payload_size);
  const size_t used = header_size + payload_size;
  std::memset(body + used, 0, padded - used);
  return padded + kOverhead;
}

SplitResult put_single(const VirtioNetHeader& header, uint8_t* packet, const IpPacket& ip,
                       size_t mtu, uint8_t* to, size_t room, SplitRun* run) {
  // Room first: a packet that has to wait must be as it was when its turn comes.
  const size_t padded = padded_size(ip.size, mtu);
  if (padded + kOverhead > kMaxDatagram) return SplitResult::kMalformed;
  if (padded + kOverhead > room) return SplitResult::kNoRoom;
  if (header.flags & kVirtioNeedsCsum) {
    const size_t start = header.csum_start;
    const size_t field = start + header.csum_offset;
    if (start < ip.header_size || field + 2 > ip.size) return SplitResult::kMalformed;
    // The field holds the pseudo-header's sum already; summing from `start` completes it.
    uint16_t sum =
        static_cast<uint16_t>(~checksum_fold(checksum_add(0, packet + start, ip.size - start)));
    if (sum == 0) sum = 0xffff;  // 0 would mean "none" for UDP; equal to it for everything else
    std::memcpy(packet + field, &sum, 2);
  }
  run->count = 1;
  run->stride = run->last_size = put_message(to, packet, ip.size, packet, 0, padded);
  return SplitResult::kOk;
}

struct Segmentation {
  uint8_t protocol;
  size_t l4;           // offset of the TCP or UDP header
  size_t header_size;  // IP and L4 headers
  size_t payload;      // bytes of payload per segment
};

// Reads what kind of super-packet it is from the packet itself; of the virtio header only the type,
// the segment size and the start of the L4 header are believed, and checked.
SplitResult read_segmentation(const VirtioNetHeader& header, const uint8_t* packet,
                              const IpPacket& ip, Segmentation* found) {
  const uint8_t type = header.gso_type & static_cast<uint8_t>(~kVirtioGsoEcn);
  const bool tcp = (type == kVirtioGsoTcpV4 && !ip.v6) || (type == kVirtioGsoTcpV6 && ip.v6);
  if (!tcp && type != kVirtioGsoUdpL4) return SplitResult::kUnknownOffload;
  if (!(header.flags & kVirtioNeedsCsum) || header.gso_size == 0) return SplitResult::kMalformed;
  found->protocol = tcp ? kProtocolTcp : kProtocolUdp;
  found->l4 = header.csum_start;
  // Behind IPv6 extension headers the protocol is not in the fixed header; the kernel vouches.
  const bool extended = ip.v6 && found->l4 > ip.header_size;
  if (!extended && (found->l4 != ip.header_size || ip.protocol != found->protocol)) {
    return SplitResult::kMalformed;
  }
  size_t l4_header = 8;
  if (tcp) {
    if (found->l4 + 20 > ip.size) return SplitResult::kMalformed;
    l4_header = size_t{packet[found->l4 + 12]} >> 4 << 2;
    if (l4_header < 20) return SplitResult::kMalformed;
  }
  found->header_size = found->l4 + l4_header;
  found->payload = header.gso_size;
  if (found->header_size >= ip.size) return SplitResult::kMalformed;
  return SplitResult::kOk;
}

// A 16-bit value as it lies in memory, which is how checksums are added up here.
uint16_t in_memory(size_t value) { return to_big_endian(static_cast<uint16_t>(value)); }

constexpr uint8_t kTcpFin = 0x01, kTcpPsh = 0x08, kTcpCwr = 0x80;

}  // namespace

SplitResult split(const VirtioNetHeader& header, uint8_t* packet, size_t size, size_t mtu,
                  uint8_t* to, size_t room, SplitRun* run) {
  const IpPacket ip = read_ip(packet, size);
  if (ip.state == IpState::kMalformed) return SplitResult::kMalformed;
  if (ip.state == IpState::kOptions) return SplitResult::kOptions;
  if (header.gso_type == kVirtioGsoNone) return put_single(header, packet, ip, mtu, to, room, run);

  Segmentation cut;
  const SplitResult readable = read_segmentation(header, packet, ip, &cut);
  if (readable != SplitResult::kOk) return readable;
  const size_t payload_total = ip.size - cut.header_size;
  const size_t count = (payload_total + cut.payload - 1) / cut.payload;
  const size_t last_payload = payload_total - (count - 1) * cut.payload;
  const size_t full = padded_size(cut.header_size + cut.payload, mtu);
  const size_t last = padded_size(cut.header_size + last_payload, mtu);
  run->count = count;
  run->stride = count > 1 ? full + kOverhead : last + kOverhead;
  run->last_size = last + kOverhead;
  if (run->stride > kMaxDatagram) return SplitResult::kMalformed;
  if (run->bytes() > room) return SplitResult::kNoRoom;
  // The last one may be padded beyond a full one only if it is as long: both obey the same MTU.
  if (run->last_size > run->stride) return SplitResult::kMalformed;

  const bool tcp = cut.protocol == kProtocolTcp;
  const uint16_t first_id = ip.v6 ? 0 : load_be16(packet + 4);
  uint8_t* const l4 = packet + cut.l4;
  const uint32_t first_sequence = tcp ? load_be32(l4 + 4) : 0;
  const uint8_t tcp_flags = tcp ? l4[13] : 0;
  const size_t checksum_field = tcp ? 16 : 6;
  // The field holds the pseudo-header's sum, with the destination behind an IPv6 routing header if
  // there is one. Only its length changes: taken out here, put in for each segment.
  uint16_t whole_sum;
  std::memcpy(&whole_sum, l4 + checksum_field, 2);
  const uint64_t pseudo_sum = uint64_t{whole_sum} + static_cast<uint16_t>(~in_memory(ip.size - cut.l4));
  for (size_t k = 0; k < count; k++) {
    const bool is_last = k + 1 == count;
    const size_t payload = is_last ? last_payload : cut.payload;
    const size_t inner = cut.header_size + payload;
    uint8_t* message = to + k * run->stride;
    put_message(message, packet, cut.header_size, packet + cut.header_size + k * cut.payload,
                payload, is_last ? last : full);
    uint8_t* out = message + kHeaderSize;
    if (ip.v6) {
      store_be16(out + 4, inner - 40);
    } else {
      store_be16(out + 2, inner);
      store_be16(out + 4, (first_id + k) & 0xffff);
      write_ipv4_checksum(out);
    }
    uint8_t* out_l4 = out + cut.l4;
    const size_t l4_size = inner - cut.l4;
    if (tcp) {
      store_be32(out_l4 + 4, first_sequence + static_cast<uint32_t>(k * cut.payload));
      uint8_t flags = tcp_flags;
      if (!is_last) flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh));
      if (k > 0) flags &= static_cast<uint8_t>(~kTcpCwr);
      out_l4[13] = flags;
    } else {
      store_be16(out_l4 + 4, l4_size);
    }
    out_l4[checksum_field] = out_l4[checksum_field + 1] = 0;
    uint16_t sum = static_cast<uint16_t>(
        ~checksum_fold(checksum_add(pseudo_sum + in_memory(l4_size), out_l4, l4_size)));
    if (sum == 0 && !tcp) sum = 0xffff;  // 0 would mean "none" (RFC 768)
    std::memcpy(out_l4 + checksum_field, &sum, 2);
  }
  return SplitResult::kOk;
}

}  // namespace causeway
