// A datagram to a UNIX socket, which node cannot send.
#pragma once

#include <cstddef>
#include <cstdint>

namespace causeway {

// `address` is a path, or an abstract name that begins with a zero byte. Never blocks. Returns 0 or
// -errno; ENAMETOOLONG for an address that does not fit.
int send_unix_datagram(const uint8_t* address, size_t address_size, const uint8_t* message,
                       size_t message_size);

}  // namespace causeway
