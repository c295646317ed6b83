// UDP sockets in vectors: segmentation offload on the way out, GRO and packet info on the way in.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "vector.h"

namespace causeway {

struct UdpSocket {
  int fd = -1;
  int error = 0;
  uint16_t port = 0;
  bool gso = false;
  bool gro = false;
  // Bytes of the receive buffer as asked for, or as many as the system permits.
  int receive_buffer = 0;
};

// Binds the wildcard address of the family (4 or 6). Buffers of `buffer` bytes where permitted.
UdpSocket open_udp(int family, uint16_t port, uint32_t mark, int buffer, bool offload);
// 0 or errno.
int set_mark(int fd, uint32_t mark);

// Whether datagrams that are longer than the interface's MTU are refused, and never fragmented on the
// way (DF; what the kernel has learnt of the path is not heeded), or fragmented. Returns an errno or 0.
int set_dont_fragment(int fd, bool on);
// Datagrams that the kernel dropped because the receive buffer was full (SO_MEMINFO).
uint32_t socket_drops(int fd);

struct ReceiveCounts {
  int error = 0;  // 0: more may wait; EAGAIN: drained; else errno
  uint32_t length = 0;
  uint32_t messages = 0;
  uint32_t dropped = 0;  // datagrams for which the columns had no room
};

class UdpReceiver {
 public:
  // As many receive buffers as the vector has source records, `buffer_size` bytes of arena each.
  explicit UdpReceiver(const InboundVector& vector);
  ReceiveCounts receive(int fd, InboundVector& vector, uint32_t max_buffers);

 private:
  static constexpr size_t kControlSize = 128;
  size_t buffer_size_;
  uint32_t buffers_;
  std::vector<mmsghdr> headers_;
  std::vector<iovec> pieces_;
  std::vector<sockaddr_in6> names_;
  std::vector<uint8_t> control_;
};

struct SendCounts {
  int blocked = 0;         // family (4 or 6) whose socket takes no more now, else 0
  uint32_t errors = 0;     // messages that the socket refused
  uint32_t too_long = 0;   // of EMSGSIZE
  uint32_t unreachable = 0;  // messages for which there was no socket or no endpoint
};

// Sends a vector's entries in order, merging neighbours that go to one endpoint in one size.
class UdpSender {
 public:
  explicit UdpSender(uint32_t endpoints);

  void restart() { entry_ = 0, message_ = 0; }
  // Goes on where it was blocked. `gso` says for each family whether segmentation may be used.
  SendCounts send(int fd4, int fd6, bool gso4, bool gso6, OutboundVector& vector, uint32_t length,
                  EndpointTable& endpoints);
  // Routes have changed: endpoints whose path refused segmentation may try again.
  void forget_paths();

 private:
  struct Datagrams;
  static constexpr size_t kBatch = 64;
  static constexpr size_t kPieces = 1024;
  static constexpr size_t kControlSize = 64 + 32;

  bool gather(bool gso4, bool gso6, const OutboundVector& vector, uint32_t length,
              const EndpointTable& endpoints, int* family, SendCounts* counts);

  uint32_t entry_ = 0;    // next message to send
  uint32_t message_ = 0;
  // Smallest message size that the path to an endpoint refused to segment; 0 = none.
  std::vector<uint16_t> refused_;

  struct Batch {
    uint32_t entry, message;  // where it starts, to come back to
    uint32_t endpoint;
    uint32_t count;           // messages
    uint32_t size;            // of each but the last
  };
  size_t batches_ = 0;
  Batch batch_[kBatch];
  mmsghdr headers_[kBatch];
  iovec pieces_[kPieces];
  sockaddr_in6 names_[kBatch];
  alignas(cmsghdr) uint8_t control_[kBatch][kControlSize];
};

}  // namespace causeway
