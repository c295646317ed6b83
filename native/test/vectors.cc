#include "vectors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace causeway::test {

SocketPair::SocketPair() {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  near = ends[0];
  far = ends[1];
}

SocketPair::~SocketPair() {
  close(near);
  close(far);
}

Bytes SocketPair::next() {
  static uint8_t message[1 << 17];
  const ssize_t got = recv(far, message, sizeof message, 0);
  return got < 0 ? Bytes() : Bytes(message, message + got);
}

}  // namespace causeway::test
