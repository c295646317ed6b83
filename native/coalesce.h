// Received packets gathered into super-packets before they are written to the TUN: what GRO does in
// a kernel. TCP segments of one flow that follow each other, and UDP datagrams of one flow and one
// size, become one write, if their checksums verify and their headers agree. Cut again, they are what
// came in, in every bit but the identification of IPv4 packets that must not be fragmented.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vector.h"

namespace causeway {

// What JavaScript sees of the groups: PacketGroups in src/vector.ts.
struct GroupColumns {
  uint32_t capacity = 0;
  int32_t* run = nullptr;      // the run that the group's packets came in
  int32_t* offset = nullptr;   // of the first packet in the arena
  int32_t* packets = nullptr;  // how many; JavaScript sets 0 to drop the group

  static constexpr size_t columns_size(size_t capacity) { return capacity * 12; }
  void bind(uint8_t* columns, uint32_t groups) {
    capacity = groups;
    run = reinterpret_cast<int32_t*>(columns);
    offset = run + groups;
    packets = offset + groups;
  }
};

struct CoalesceCounts {
  uint32_t groups = 0;
  uint32_t malformed = 0;
  uint32_t options = 0;
  uint32_t path_frames = 0;  // first half byte 0: no IP packet, and left as it is
};

class Coalescer {
 public:
  Coalescer(uint32_t groups, uint32_t messages) : groups_(groups), links_(messages) {}

  // Groups the opened packets of the runs below `length`; messages with plain ≤ 0 are passed over.
  CoalesceCounts gather(const InboundVector& vector, uint32_t length, bool tcp, bool udp,
                        GroupColumns& columns);

  // Writes the groups whose `packets` is still above 0 to the TUN. Returns packets not written.
  uint32_t write(int tun, const GroupColumns& columns, uint32_t count);

 private:
  enum class Kind : uint8_t { kSingle, kTcp, kUdp };
  struct Link {
    const uint8_t* payload;
    uint32_t size;
    int32_t next;
  };
  struct Group {
    uint8_t* packet;       // the first one, headers included
    uint32_t header_size;  // IP and L4 header
    uint32_t first_size;   // bytes of the first packet
    uint32_t payload;      // bytes of payload of every packet but the last
    uint32_t total;        // bytes of payload of all
    uint32_t next_sequence;
    uint32_t packets;
    int32_t slot;
    int32_t head, tail;  // links of the packets behind the first
    Kind kind;
    bool v6;
    bool open;      // more may follow
    bool verified;  // the first packet's checksum was found right
  };
  struct Flow {
    uint64_t generation = 0;
    int32_t group = -1;
  };

  bool append(Group& group, const uint8_t* packet, size_t header_size, size_t size, uint32_t message);
  void finish_headers(Group& group, struct VirtioNetHeader* header);

  std::vector<Group> groups_;
  std::vector<Link> links_;
  static constexpr size_t kFlows = 256;
  Flow flows_[kFlows];
  uint64_t generation_ = 0;
  uint32_t gathered_ = 0;  // groups of the last visit
};

}  // namespace causeway
