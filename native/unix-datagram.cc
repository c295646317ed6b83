#include "unix-datagram.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace causeway {

int send_unix_datagram(const uint8_t* address, size_t address_size, const uint8_t* message,
                       size_t message_size) {
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  if (address_size == 0) return -EINVAL;
  if (address_size > sizeof target.sun_path) return -ENAMETOOLONG;
  memcpy(target.sun_path, address, address_size);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_size);
  const ssize_t sent = sendto(fd, message, message_size, MSG_DONTWAIT | MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&target), length);
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return -error;
}

}  // namespace causeway
