// Packets as the RFCs describe them, made field by field and summed byte by byte: the model that the
// addon's fast code is compared with. Nothing here uses the code under test.
#pragma once

#include <array>

#include "check.h"

namespace causeway::test {

constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20,
                  kEce = 0x40, kCwr = 0x80;

// RFC 1071, word by word; the result is what goes into a header field.
uint16_t naive_checksum(const Bytes& bytes);

void put16(Bytes& to, size_t value);
void put32(Bytes& to, uint32_t value);
void append(Bytes& to, const Bytes& from);
uint16_t get16(const Bytes& from, size_t at);
uint32_t get32(const Bytes& from, size_t at);
void set16(Bytes& to, size_t at, size_t value);
void set32(Bytes& to, size_t at, uint32_t value);

// What all packets of one train share.
struct Flow {
  bool v6 = false;
  bool tcp = true;
  Bytes source, destination;  // 4 or 16 bytes
  Bytes final_destination;    // differs behind an IPv6 routing header; else the destination
  uint16_t source_port = 0, destination_port = 0;
  uint8_t traffic_class = 0;
  uint32_t flow_label = 0;
  uint8_t hop_limit = 64;
  bool dont_fragment = true;
  uint8_t first_extension = 0;  // IPv6: type of the first extension header, if there is any
  Bytes extensions;
  uint32_t acknowledgement = 0;
  uint16_t window = 0;
  uint16_t urgent = 0;
  uint8_t reserved_bits = 0;  // low four bits of TCP's data offset byte (AE is one of them)
  Bytes options;              // of TCP, a multiple of 4 bytes

  uint8_t protocol() const { return tcp ? 6 : 17; }
  size_t l4_offset() const { return (v6 ? 40 : 20) + extensions.size(); }
  size_t header_size() const { return l4_offset() + (tcp ? 20 + options.size() : 8); }
};

struct Segment {
  uint16_t id = 0;
  uint32_t sequence = 0;
  uint8_t flags = kAck;
  Bytes payload;
};

Flow random_flow(Random& random, bool with_extensions);

// Sum of the pseudo-header (RFC 9293 § 3.1, RFC 8200 § 8.1), not complemented: what the kernel puts
// into the checksum field of a packet that it leaves to be completed.
uint16_t pseudo_sum(const Flow& flow, size_t l4_size);

// A whole packet. With `partial`, the L4 checksum field holds the pseudo-header's sum.
Bytes make_packet(const Flow& flow, const Segment& segment, bool partial = false);

// Whitepaper § 5.4.6 and wireguard-go's calculatePaddingSize, by counting.
size_t naive_padded(size_t size, size_t mtu);

// Whether the IPv4 header's checksum and that of TCP or UDP (without extension headers) are right.
bool checksums_right(const Bytes& packet);

}  // namespace causeway::test
