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
  Bytes message(1 << 17);
  const ssize_t got = recv(far, message.data(), message.size(), 0);
  message.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return message;
}

}  // namespace causeway::test
